import { createLogger, EXIT, type ProgramSignals, UserError } from '@proj/console'
import type { Resolved } from '@proj/config'
import { isPortcheckError, type Listeners, PORTCHECK_ERRORS } from '@proj/portcheck'

import { Server } from './server.ts'
import type { settings } from './settings.ts'
import { SOFTWARE } from './version.ts'

/** The settings as the server gets them. */
export type ServerSettings = Resolved<(typeof settings)['tree']>

/** Streams of the program. */
export interface StartOutput {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  /** Whether to print JSON events instead of text. */
  readonly json: boolean
  /** Whether a terminal may show colours. */
  readonly colour: boolean
}

/** Runs the server until it is told to stop. */
export async function start(
  config: ServerSettings,
  output: StartOutput,
  signals: ProgramSignals,
): Promise<number> {
  const { log, proxy, upstream, admin } = config
  const terminal = output.stderr.isTTY === true
  const logger = createLogger({
    level: log.level,
    format: log.format === 'auto' ? (terminal ? 'text' : 'json') : log.format,
    stream: output.stderr,
    colour: terminal && output.colour,
  })
  let server: Server
  try {
    server = await Server.start({
      proxy: proxy.bindAddr,
      upstream: upstream.bindAddr,
      admin: admin.bindAddr,
      edge: proxy,
      software: SOFTWARE,
      logger,
    })
  } catch (error) {
    if (!isPortcheckError(error)) throw error
    throw new UserError(error.message, {
      exitCode: EXIT.addressTaken,
      hint: PORTCHECK_ERRORS[error.code].hint,
      cause: error,
    })
  }
  announce(server, output)
  await new Promise<void>((resolve) => {
    if (signals.stop.aborted) resolve()
    else signals.stop.addEventListener('abort', () => resolve(), { once: true })
  })
  logger.info({ graceMs: config.gracePeriodMs }, 'stopping: running exchanges may finish')
  const patience = AbortSignal.any([AbortSignal.timeout(config.gracePeriodMs), signals.kill])
  await server.close({ signal: patience })
  return EXIT.ok
}

/** Says what is really bound, from the sockets. */
function announce(server: Server, { stdout, json }: StartOutput): void {
  const named = Object.entries(server.listeners) as [string, Listeners][]
  if (json) {
    const listeners = named.map(([name, { bound }]) => ({
      name,
      addresses: bound.flatMap(({ sockets }) => sockets.map(({ address }) => address)),
      urls: bound.flatMap(({ urls }) => urls),
      warnings: bound.flatMap(({ warnings }) => warnings),
    }))
    stdout.write(`${JSON.stringify({ event: 'ready', software: SOFTWARE, listeners })}\n`)
    return
  }
  stdout.write(`${SOFTWARE}\n`)
  const words: Record<string, string> = {
    proxy: 'visitors',
    upstream: 'agents',
    admin: 'operators',
  }
  for (const [name, { bound }] of named) {
    for (const { sockets, urls, warnings } of bound) {
      const where = sockets.map(({ address, families }) => `${address} (${families})`).join(', ')
      stdout.write(
        `  ${(words[name] ?? name).padEnd(10)} ${where.padEnd(30)}  ${urls.join('  ')}\n`,
      )
      for (const warning of warnings)
        stdout.write(`    ${warning.code}: ${warning.text}; ${warning.hint}\n`)
    }
  }
}
