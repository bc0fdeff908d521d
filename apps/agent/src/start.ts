import {
  aborted,
  createLogger,
  drainOnStop,
  drainTimes,
  EXIT,
  graceSignal,
  type Invocation,
  LogRate,
  type ProcessOrigin as Origin,
  reloading,
  UserError,
} from '@proj/program-kit'
import { formatProblems } from '@proj/config'
import { formatHostPort } from '@proj/config/address'
import type { InheritedSockets } from '@proj/portcheck'
import { Agent, Consumer, type Logger } from '@proj/tunnel'
import { runAfter } from '@proj/tunnel/io'

import { openAdminPort } from './admin/admin-port.ts'
import type { AgentStatus } from '@proj/program-kit'
import type { HandedAgentSocket, HandedUnixSockets } from './access/handed-unix-sockets.ts'
import { announce, noteBinds } from './announce.ts'
import type { OwnCommands } from './commands/commands.ts'
import { openControlSocket } from './control/control-socket.ts'
import { describeAgent } from './status/describe-agent.ts'
import { explainError, settingHint } from './commands/explain-error.ts'
import { ConnectionMonitor } from './connect/connection-monitor.ts'
import { type ListenerChanges, RunningConfig } from './running-config.ts'
import { inspectedAgent } from './inspect/inspected-agent.ts'
import { inspectToken } from './inspect/inspect-token.ts'
import { createCapture, type Inspector, openInspector } from './inspect/open-inspector.ts'
import { recentRequests } from './inspect/recent-requests.ts'
import { Secrets } from './inspect/secrets.ts'
import { isWatched, LiveView } from './status/live-view.ts'
import { serverOptions } from './connect/server-options.ts'
import { type AgentTree, settings as definition } from './settings.ts'
import { openAgentTracer } from './tracing/agent-tracer.ts'
import { readListenerRequest } from './listeners/added-listener.ts'
import { listenerCommands } from './control/listener-commands.ts'
import { type HandedState, Upgrade, type UpgradeOutcome } from './upgrade.ts'
import { SOFTWARE } from './version.ts'

/** What the process has from its start. */
export interface ProcessOrigin extends Origin<HandedAgentSocket> {
  /** Listening sockets of another process; those that are not wanted are closed. */
  readonly inherited: InheritedSockets
  /** Unix sockets of the process that this one replaces. */
  readonly handedUnix: HandedUnixSockets
}

/** Requests that `adit status` shows. */
const RECENT = 10

/** How long a successor waits for as many servers as the process before it had, ms; one is enough to go on. */
const SPREAD_MS = 10_000

/**
 * Runs the listeners and accesses of the configuration until a signal stops it, or its successor has taken
 * over.
 */
export async function start(
  invocation: Invocation<AgentTree, OwnCommands>,
  origin: ProcessOrigin,
): Promise<number> {
  const { predecessor, restart, handedUnix } = origin
  using inherited = origin.inherited
  const { loaded, json, colour, around } = invocation
  const { settings } = loaded
  const { stdout, stderr, env, signals } = around
  if (settings.listeners.length === 0 && settings.accesses.length === 0) {
    throw new UserError('nothing to do: no listeners and no accesses are configured', {
      exitCode: EXIT.usage,
      hint: 'list them in ~/.config/adit/adit.yaml or /etc/adit/adit.yaml, name a file with --config, or use adit http, adit tcp or adit access',
    })
  }
  // The terminal of a successor belongs to the shell again: it writes plain lines.
  const hasView = predecessor === undefined && isWatched(settings, around, json)
  using view = hasView ? new LiveView(stderr, colour) : undefined
  const { level, format, rate: logRate } = settings.log
  using rate = new LogRate((logRate.amount * 60_000) / logRate.periodMs)
  const logger = createLogger({
    level,
    format,
    rate,
    stream: view?.output ?? stderr,
    colour,
    hintOf: settingHint,
  })
  // From the beginning: without a listener the signal ends the process.
  let beginUpgrade = async (): Promise<UpgradeOutcome> => {
    logger.warn({}, 'upgrade not begun: the agent is starting')
    return { why: 'it is starting' }
  }
  signals.onUpgrade(() => void beginUpgrade())
  for (const why of inherited.problems) logger.warn({ why }, 'inherited sockets are not used')
  const server = { ...(await serverOptions(settings.connect, env)), software: SOFTWARE, logger }

  await using tracer = openAgentTracer(settings.tracing, logger)
  await using consumer = new Consumer(server)
  const handed = predecessor?.state as HandedState | undefined // of the same version of the messages
  await using agent = new Agent({
    ...server,
    connections: settings.connect.connections,
    ...(handed !== undefined && { peer: handed.peer }),
  })
  const links = {
    listeners: new ConnectionMonitor(agent),
    accesses: new ConnectionMonitor(consumer),
  }
  const lastProblem = (): unknown => links.accesses.problem?.error
  /** Aborted when the process ends: it was told to stop, or its successor has taken over. */
  const ended = new AbortController()
  const isEnding = (): boolean => ended.signal.aborted
  const isSeen = stdout.isTTY === true && (env['CI'] ?? '') === ''
  const isInspected = settings.inspect ?? (isSeen && settings.listeners.length > 0)
  const capture = isInspected ? createCapture(settings.inspector) : undefined
  const secrets = new Secrets(settings.inspector.secrets)
  let inspector: Inspector | undefined
  const running = new RunningConfig({
    agent,
    capture,
    tracer,
    consumer,
    server,
    logger,
    connect: settings.connect,
    isEnding,
    inherited,
    handedUnix,
    lastProblem,
  })
  const urls = settings.connect.url
  const end = (): void => ended.abort()
  signals.stop.addEventListener('abort', end, { once: true })
  if (signals.stop.aborted) end()
  let upgrade: Upgrade | undefined
  const described = {
    software: SOFTWARE,
    urls,
    agent,
    consumer,
    links,
    running,
    stop: ended.signal,
    isReplaced: () => upgrade?.successor !== undefined,
    inspect: () => inspector?.url,
    ...(capture !== undefined && {
      recent: (most: number) => recentRequests(capture.store, secrets, most),
    }),
    openInspector: () => inspector?.openUrl,
  }
  const status = async (): Promise<AgentStatus> => await describeAgent(described)
  /** Why commands cannot change the listeners now. */
  const findObstacle = (): string | undefined => {
    if (isEnding()) return 'the agent is stopping'
    if (upgrade === undefined) return 'the agent is starting'
    return upgrade.isRunning ? 'an upgrade is running' : undefined
  }
  await using _socket = await openControlSocket(env, {
    status: async () => {
      const recent = described.recent?.(RECENT)
      return { ...(await status()), ...(recent !== undefined && { recent }) }
    },
    upgrade: async () => await beginUpgrade(),
    listenerCommands: listenerCommands({
      running,
      logger,
      connect: settings.connect,
      findObstacle,
      signal: ended.signal,
    }),
    inspectUrl: () => inspector?.openUrl,
    logger,
  })
  /** Whether this process serves beside the one that it is to replace. */
  let isBeside = predecessor !== undefined
  try {
    const changes = await changesOf(handed)
    if (handed !== undefined) {
      await predecessor?.prepared()
      // Before a socket is accepted from: what cannot connect to the server must not have visitors.
      await running.apply({ ...settings, accesses: [] }, signals.stop, changes)
      if (settings.accesses.length > 0) consumer.start()
      await Promise.all([
        running.ready(signals.stop, handed.online),
        ...(handed.isConsumerUp && settings.accesses.length > 0
          ? [consumer.ready({ signal: signals.stop })]
          : []),
      ])
      await agent
        .reached(handed.servers, { signal: graceSignal(SPREAD_MS, signals.stop) })
        .catch(() => logger.warn({}, 'fewer servers are reached than before the upgrade'))
    }
    await using admin = await openAdminPort(settings.admin, status, {
      inherited,
      logger,
      signal: signals.stop,
    })
    await running.apply(settings, signals.stop, changes)
    await using opened =
      capture === undefined
        ? undefined
        : await openInspector(
            settings.inspector,
            capture,
            inspectedAgent({ running, link: links.listeners }),
            { token: inspectToken(env), inherited, logger, signal: signals.stop },
          )
    inspector = opened
    closeUnwanted(inherited, logger)
    view?.start(described, around.stdin)
    await using _reloading = await reloading(invocation, {
      settings: definition,
      logger,
      apply: async (next) => {
        if (ended.signal.aborted) return // what is closed must not be opened again
        await running.apply(next.settings, signals.stop)
        logger.level = next.settings.log.level
      },
    })
    await predecessor?.ready()
    isBeside = false
    running.keepsFiles = false
    for (const path of handedUnix.removeUnused()) {
      logger.warn({ path }, 'unix socket of the process before removed: no access has its path')
    }
    await Promise.all([
      running.answered(signals.stop),
      ...(settings.accesses.length > 0 ? [consumer.ready({ signal: signals.stop })] : []),
    ])
    if (view === undefined) {
      const inspect = inspector?.openUrl
      await announce(running, { agent, consumer, urls, stdout, json, inspect })
    } else await Promise.all([view.refresh(), noteBinds(running, view.output)])
    const { gracePeriodMs } = settings
    const collect = () => ({
      sockets: [
        ...admin.descriptors(),
        ...(inspector?.descriptors() ?? []),
        ...running.descriptors,
        ...inherited.unused,
      ],
      state: {
        peer: agent.peer,
        online: running.online,
        servers: new Set(agent.connections.map(({ serverId }) => serverId)).size,
        isConsumerUp: links.accesses.isUp,
        added: running.changes.added.map(({ request }) => request),
        removed: running.changes.removed,
      },
    })
    const { timeoutMs } = settings.upgrade
    const findUnhandable = (): string | undefined => running.unhandable?.text
    const parts = {
      restart,
      logger,
      timeoutMs,
      gracePeriodMs,
      collect,
      findUnhandable,
      signal: ended.signal,
    }
    const upgrading = new Upgrade(parts, end)
    upgrade = upgrading
    beginUpgrade = async () => await upgrading.begin()
    await drainOnStop({
      signals: { stop: ended.signal, kill: signals.kill },
      gracePeriodMs,
      logger,
      failures: [consumer.failed, running.failed],
      drain: async ({ signal }) => {
        const { successor } = upgrading
        const isInterrupted = signals.isInterrupted()
        const isReplaced = successor !== undefined
        const { delayMs = 0, longLivedMs } = drainTimes(settings, { isReplaced, isInterrupted })
        using _ = runAfter(longLivedMs, () => running.endConnections())
        const beganAtMs = performance.now()
        if (isReplaced) {
          running.keepsFiles = true
          view?.[Symbol.dispose]()
          inherited.close()
          admin.close()
          inspector?.close()
        }
        await aborted(graceSignal(delayMs, signal))
        if (!isReplaced && !isInterrupted) await running.free(signal)
        const drained = running.drain({ signal })
        successor?.release()
        const passedMs = performance.now() - beganAtMs
        const closed = agent.close({ signal, longLivedMs: Math.max(0, longLivedMs - passedMs) })
        // A connection that was accepted here may wait for the server still.
        if (!isInterrupted) await Promise.race([running.settle(), aborted(signal)])
        // Those that began in the delay, after the time of the others.
        const leftMs = longLivedMs - (performance.now() - beganAtMs)
        using _late = runAfter(leftMs, () => running.endConnections())
        await Promise.all([closed, consumer.close({ signal }), drained])
      },
    })
    return EXIT.ok
  } catch (error) {
    if (isBeside) {
      // It may have visitors already. The process that it was to replace goes on.
      const options = { signal: graceSignal(settings.gracePeriodMs, signals.kill) }
      await Promise.all([running.drain(options), agent.close(options), consumer.close(options)])
    }
    if (signals.stop.aborted) return EXIT.ok
    throw explainError(error, settings.connect)
  } finally {
    running.destroy()
  }
}

/**
 * The changes that commands have made to the listeners of the process before.
 *
 * @throws {UserError} when this version does not accept one of them.
 */
async function changesOf(handed: HandedState | undefined): Promise<ListenerChanges> {
  const { added = [], removed = [] } = handed ?? {}
  const all = await Promise.all(
    added.map(async (request) => {
      const read = await readListenerRequest(request)
      if (!('problems' in read)) return read
      const why = formatProblems(read.problems).trimEnd()
      throw new UserError(`a listener that was added cannot be kept: ${why}`, {
        exitCode: EXIT.usage,
        hint: 'end it with adit remove, then upgrade',
      })
    }),
  )
  return { added: all, removed }
}

/** Closes inherited sockets that no address of the settings uses. */
function closeUnwanted(inherited: InheritedSockets, logger: Logger): void {
  for (const { name, host, port } of inherited.closeUnused()) {
    logger.warn(
      {
        name,
        address: formatHostPort(host, port),
        hint: 'set the bind_addr of an access, or of admin, to its address',
      },
      'inherited socket closed: no local address is the same',
    )
  }
}
