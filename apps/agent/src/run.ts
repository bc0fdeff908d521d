import { createLogger, EXIT, type ProgramSignals, UserError } from '@proj/console'
import { formatDialAddress } from '@proj/config'
import { isPortcheckError, PORTCHECK_ERRORS } from '@proj/portcheck'
import { Agent, Consumer, isTunnelError, type Listener } from '@proj/tunnel'

import { Access } from './access.ts'
import { offer } from './offer.ts'
import { serverOptions } from './server-options.ts'
import type { AgentSettings } from './settings.ts'
import { SOFTWARE } from './version.ts'

/** Surroundings of the program. */
export interface RunHost {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether to print JSON events instead of text. */
  readonly json: boolean
}

/** Offers the listeners and brings the accesses of the settings, until told to stop. */
export async function run(
  config: AgentSettings,
  host: RunHost,
  signals: ProgramSignals,
): Promise<number> {
  const { listeners, accesses, log } = config
  if (listeners.length === 0 && accesses.length === 0) {
    throw new UserError('there is nothing to do: no listeners and no accesses are configured', {
      exitCode: EXIT.usage,
      hint: 'list them in a file and name it with --config, or use adit http, tcp or access',
    })
  }
  const terminal = host.stderr.isTTY === true
  const colour = host.env['NO_COLOR'] === undefined || host.env['NO_COLOR'] === ''
  const logger = createLogger({
    level: log.level,
    format: log.format === 'auto' ? (terminal ? 'text' : 'json') : log.format,
    stream: host.stderr,
    colour: terminal && colour,
  })
  const server = { ...(await serverOptions(config.connect, host.env)), software: SOFTWARE, logger }
  const patience = (): AbortSignal =>
    AbortSignal.any([AbortSignal.timeout(config.gracePeriodMs), signals.kill])

  // Every local address is held before anything is announced to anybody.
  await using consumer = new Consumer(server)
  const brought: Access[] = []
  await using agent = new Agent({ ...server, connections: config.connect.connections })
  try {
    for (const one of accesses) brought.push(await Access.start(one, consumer, logger))
    const offered = listeners.map((one) => offer(agent, one, logger))
    await ready(offered, brought, consumer, signals.stop)
    announce(config, offered, brought, host)
    await ended(offered, consumer, signals.stop)
    logger.info({ graceMs: config.gracePeriodMs }, 'stopping: open connections may finish')
    const signal = patience()
    for (const access of brought) void access.listeners.close({ signal }).catch(() => {})
    await Promise.all([agent.close({ signal }), consumer.close({ signal })])
    return EXIT.ok
  } catch (error) {
    if (signals.stop.aborted) return EXIT.ok
    throw explained(error)
  } finally {
    for (const access of brought) access.listeners.destroy()
  }
}

async function ready(
  offered: readonly Listener[],
  brought: readonly Access[],
  consumer: Consumer,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([
    ...offered.map((listener) => listener.ready({ signal })),
    ...(brought.length > 0 ? [consumer.ready({ signal })] : []),
  ])
}

/** Resolves when the program is told to stop; rejects when something ended for good. */
async function ended(
  offered: readonly Listener[],
  consumer: Consumer,
  stop: AbortSignal,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (stop.aborted) resolve()
    else stop.addEventListener('abort', () => resolve(), { once: true })
  })
  const failures = offered.map(async (listener) => {
    const { error } = await listener.closed
    if (error !== undefined) throw error
    await stopped
  })
  await Promise.race([stopped, consumer.failed, ...failures])
}

function announce(
  config: AgentSettings,
  offered: readonly Listener[],
  brought: readonly Access[],
  { stdout, json }: RunHost,
): void {
  if (json) {
    const listeners = offered.map(({ endpoint, kind, urls }) => ({ endpoint, kind, urls }))
    const accesses = brought.map(({ endpoint, listeners: { bound } }) => ({
      endpoint,
      addresses: bound.flatMap(({ sockets }) => sockets.map(({ address }) => address)),
    }))
    stdout.write(`${JSON.stringify({ event: 'ready', software: SOFTWARE, listeners, accesses })}\n`)
    return
  }
  stdout.write(`${SOFTWARE} connected to ${config.connect.url}\n`)
  for (const [index, { endpoint, kind, urls }] of offered.entries()) {
    const { addr } = config.listeners[index] ?? {}
    const service = addr === undefined ? '' : formatDialAddress(addr)
    const from = kind === 'http' && urls.length > 0 ? urls.join('  ') : `adit access ${endpoint}`
    stdout.write(`  ${endpoint}  ${from}  ->  ${service}\n`)
  }
  for (const { endpoint, listeners } of brought) {
    const where = listeners.bound.flatMap(({ sockets }) => sockets.map(({ address }) => address))
    stdout.write(`  ${endpoint}  ${where.join('  ')}  ->  ${endpoint}\n`)
  }
}

/** Puts a failure that ends the program into words and an exit code. */
function explained(error: unknown): unknown {
  if (isPortcheckError(error)) {
    const { hint } = PORTCHECK_ERRORS[error.code]
    return new UserError(error.message, { exitCode: EXIT.addressTaken, hint, cause: error })
  }
  if (isTunnelError(error)) {
    const refused = ['TUNNEL_UNAUTHORIZED', 'TUNNEL_ENDPOINT_REFUSED', 'TUNNEL_UPGRADE_REFUSED']
    const exitCode = refused.includes(error.code)
      ? EXIT.refused
      : error.code === 'TUNNEL_ENDPOINT_INVALID'
        ? EXIT.usage
        : EXIT.failed
    return new UserError(`${error.message} (${error.code})`, { exitCode, cause: error })
  }
  if (error instanceof Error && error.name === 'DialError') {
    const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined
    return new UserError(error.message, { exitCode: EXIT.failed, hint, cause: error })
  }
  return error
}
