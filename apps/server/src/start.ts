import { aborted, createLogger, EXIT, type Invocation, reloading, UserError } from '@proj/console'
import { isPortcheckError, PORTCHECK_ERRORS } from '@proj/portcheck'

import { announce } from './announce.ts'
import { Server } from './server.ts'
import { type OwnCommands, type ServerTree, settings as definition } from './settings.ts'
import { SOFTWARE } from './version.ts'

/** Runs the server until it is told to stop. */
export async function start(invocation: Invocation<ServerTree, OwnCommands>): Promise<number> {
  const { loaded, json, colour, around } = invocation
  const { settings } = loaded
  const { stdout, stderr, signals } = around
  const logger = createLogger({ ...settings.log, stream: stderr, colour })
  let server: Server
  try {
    server = await Server.start({
      proxy: settings.proxy.bindAddr,
      upstream: settings.upstream.bindAddr,
      admin: settings.admin.bindAddr,
      edge: settings.proxy,
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
  await using _reloading = await reloading(invocation, {
    settings: definition,
    logger,
    apply: (next) => {
      logger.level = next.settings.log.level
    },
  })
  announce(server, { stdout, json })
  await aborted(signals.stop)
  logger.info({ graceMs: settings.gracePeriodMs }, 'stopping: running exchanges may finish')
  const patience = AbortSignal.any([AbortSignal.timeout(settings.gracePeriodMs), signals.kill])
  await server.close({ signal: patience })
  return EXIT.ok
}
