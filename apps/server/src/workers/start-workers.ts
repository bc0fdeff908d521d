/**
 * The parent of a server with workers. It has the listening sockets, which it does not accept from, the data directory
 * and the table of which worker serves what; visitors and agents it never sees, so it goes on when a worker crashes.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { EngineHost, MemoryDatabase, MemoryEngine } from '@proj/cluster'
import type { InheritedSocket, Listeners } from '@proj/portcheck'
import { isPortcheckError, listenTogether } from '@proj/portcheck'
import {
  CLOSE_MS,
  conflictPolicy,
  drainOnStop,
  EXIT,
  type Invocation,
  movedBinds,
  UserError,
  WorkerPool,
} from '@proj/program-kit'

import { addressTaken } from '../address-taken.ts'
import { makeOperatorKey } from '../admin/operator-key.ts'
import { announce, lookAt } from '../announce.ts'
import type { PortName } from '../auth/authenticator.ts'
import { configuredAuthenticator } from '../auth/configured-authenticator.ts'
import { configuredBinds } from '../auth/configured-binds.ts'
import { nodeIdentity } from '../cluster/node-identity.ts'
import type { OwnCommands } from '../commands/commands.ts'
import { openLog } from '../server-log.ts'
import type { ServerTree } from '../settings.ts'
import type { ProcessOrigin } from '../process-origin.ts'
import { openOwnStore } from '../store/open-own-store.ts'
import { portsWithTls } from '../tls/tls-ports.ts'
import { TLS_PORTS } from '../tls/tls-settings.ts'
import { warnOfUnusedSettings } from '../unused-settings.ts'
import { noteOutcome } from '../upgrade.ts'
import { ParentCalls } from './parent-calls.ts'
import { StoreHost } from './store-host.ts'
import { workerCount } from './worker-count.ts'
import type { WorkerFacts, WorkerState } from './worker-role.ts'

/** Bytes of a key of TLS tickets. */
const TICKET_KEY_BYTES = 48

const NO_UPGRADE =
  'a server with several workers is not upgraded in place: restart it, or set workers to 1'

/** Runs a server with several workers until a signal stops it. */
export async function startWorkers(
  invocation: Invocation<ServerTree, OwnCommands>,
  origin: ProcessOrigin,
  count: number,
): Promise<number> {
  const { loaded, json, around } = invocation
  const { settings } = loaded
  const { stdout, signals } = around
  using log = openLog(invocation)
  const { logger } = log
  logger.setBindings({ worker: 0 })
  refuseUnsupported(origin)
  warnOfUnusedSettings(loaded, logger)
  await using own = await openOwnStore(settings, { env: around.env, logger })
  const { store, directory } = own
  if (directory === undefined) {
    throw notPossible('a server with several workers needs a data_dir that it can write to')
  }
  signals.onUpgrade(() => {
    logger.warn({ why: NO_UPGRADE }, 'upgrade not begun')
    noteOutcome(directory, { pid: process.pid, why: NO_UPGRADE })
  })
  const { id: nodeId } = nodeIdentity({ ...settings.cluster, directory, logger })
  const operatorKey = makeOperatorKey(directory, logger)
  const binds = readBinds(invocation, { origin, own, logger })
  using folder = privateFolder()
  const host = new StoreHost(store)
  const nodes = new MemoryDatabase()
  const ticketKeys = Object.fromEntries(
    TLS_PORTS.map((name) => [name, randomBytes(TICKET_KEY_BYTES).toString('base64')]),
  )
  const { command, env } = origin.restart
  const pool = await WorkerPool.start<InheritedSocket>({
    count,
    command,
    env,
    timeoutMs: settings.upgrade.timeoutMs,
    logger,
    state: (): WorkerState => ({
      count,
      directory,
      before: host.before,
      folder: folder.path,
      nodeId,
      operatorKey: operatorKey?.hash.toString('base64'),
      binds,
      ticketKeys,
    }),
    onStart: (child) => {
      void new EngineHost(new MemoryEngine(nodes), child)
      const calls: ParentCalls = new ParentCalls(child, {
        ...host.answers(() => calls),
        workers: (): WorkerFacts => ({ deaths: pool.deaths }),
      })
      host.follow(calls, calls.closed)
    },
  })
  // From here on the workers have to be ended, whatever happens.
  try {
    const listeners = await openPorts(invocation, binds, logger)
    let opened: Awaited<ReturnType<typeof lookAt>>
    try {
      opened = await lookAt(listeners)
      const sockets = Object.entries(listeners).flatMap(([name, one]) => one.openSockets(name))
      await pool.open(sockets, () => {
        for (const one of Object.values(listeners)) one.destroy()
      })
    } finally {
      for (const one of Object.values(listeners)) one.destroy()
    }
    announce(opened, { stdout, json, workers: count })
    const tell = (signal: NodeJS.Signals): void => {
      for (const { pid } of pool.workers) kill(pid, signal)
    }
    signals.onReopen(() => tell('SIGUSR1'))
    const parts = { pool, count, logger }
    if (loaded.files.length > 0) signals.onReload(() => void replaceAll(invocation, parts))
    await drainOnStop({
      signals,
      // The workers have this time for their visitors; what does not end by itself then is ended.
      gracePeriodMs: settings.gracePeriodMs + CLOSE_MS,
      logger,
      failures: [pool.failed],
      drain: async ({ signal }) => {
        host.end()
        if (signals.isInterrupted()) tell('SIGINT') // nobody waits for the delay at a terminal
        await pool.stop(signal)
      },
    })
  } catch (error) {
    if (!signals.stop.aborted) throw error
  } finally {
    host.end()
    await pool.stop(AbortSignal.abort())
  }
  return EXIT.ok
}

/** @throws {UserError} naming what a server with several workers cannot do. */
function refuseUnsupported({ predecessor, inherited }: ProcessOrigin): void {
  if (process.platform === 'win32') {
    throw notPossible(
      'processes cannot share listening sockets on Windows: a server has one worker',
    )
  }
  if (predecessor !== undefined) throw notPossible(NO_UPGRADE)
  if (inherited.unused.length > 0) {
    throw notPossible('a server with several workers cannot have sockets of a service manager')
  }
}

function notPossible(message: string): UserError {
  const code = 'WORKERS_NOT_POSSIBLE'
  return new UserError(`${message} (${code})`, {
    code,
    exitCode: EXIT.usage,
    hint: 'set workers to 1',
  })
}

type Logger = ReturnType<typeof openLog>['logger']

/** Where the ports listen; the authenticator is for this question alone. */
function readBinds(
  { loaded }: Invocation<ServerTree, OwnCommands>,
  {
    origin: { inherited },
    own: { store },
    logger,
  }: {
    readonly origin: ProcessOrigin
    readonly own: Awaited<ReturnType<typeof openOwnStore>>
    readonly logger: Logger
  },
): WorkerState['binds'] {
  using authenticator = configuredAuthenticator(loaded.settings, { store, logger })
  return configuredBinds(loaded, { authenticator, inherited, logger })
}

/** Opens the ports. What connects before the workers have them is closed. */
async function openPorts(
  { loaded: { settings }, around: { signals } }: Invocation<ServerTree, OwnCommands>,
  binds: WorkerState['binds'],
  logger: Logger,
): Promise<Readonly<Record<PortName, Listeners>>> {
  const withTls = new Set<string>(portsWithTls(settings))
  const request = (name: PortName) => ({
    at: binds[name],
    name,
    ...conflictPolicy(settings[name], { listener: name, logger }),
    ...(withTls.has(name) && { scheme: 'https' }),
    signal: signals.stop,
    onConnection: (socket: { destroy(): unknown }) => void socket.destroy(),
  })
  try {
    const [proxy, upstream, admin] = await listenTogether([
      request('proxy'),
      request('upstream'),
      request('admin'),
    ])
    const listeners = { proxy, upstream, admin }
    for (const [listener, one] of Object.entries(listeners)) {
      for (const moved of movedBinds(one)) {
        logger.warn({ listener, ...moved }, 'port taken, listening on the next free one')
      }
    }
    return listeners
  } catch (error) {
    throw isPortcheckError(error) ? addressTaken(error) : error
  }
}

/** Replaces the workers by new ones, with the settings and the program as they are now. */
async function replaceAll(
  { load }: Invocation<ServerTree, OwnCommands>,
  {
    pool,
    count,
    logger,
  }: {
    readonly pool: WorkerPool<InheritedSocket>
    readonly count: number
    readonly logger: Logger
  },
): Promise<void> {
  try {
    const next = await load({})
    if (!next.ok) {
      for (const { code, key, origin, message, hint } of next.problems) {
        logger.error({ code, key, origin, why: message, hint }, 'new configuration refused')
      }
      return
    }
    if (workerCount(next.settings.workers) !== count) {
      logger.error('workers not replaced: another number of workers needs a restart')
      return
    }
    await pool.replace()
    logger.info('all workers replaced')
  } catch (error) {
    logger.error({ err: error }, 'workers not replaced: those that run go on')
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has just ended.
  }
}

/** Makes a folder that no other user may enter; it is removed when it is disposed. */
function privateFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'adit-workers-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
