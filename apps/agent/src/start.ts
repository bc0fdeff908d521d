import {
  createLogger,
  drainOnStop,
  EXIT,
  type Invocation,
  LogRate,
  reloading,
  UserError,
} from '@proj/program-kit'
import { Agent, Consumer } from '@proj/tunnel'

import { openAdminPort } from './admin/admin-port.ts'
import type { AgentStatus } from '@proj/program-kit'
import { announce, noteBinds } from './announce.ts'
import type { OwnCommands } from './commands/commands.ts'
import { openControlSocket } from './control/control-socket.ts'
import { describeAgent } from './status/describe-agent.ts'
import { explainError } from './commands/explain-error.ts'
import { ConnectionMonitor } from './connect/connection-monitor.ts'
import { RunningConfig } from './running-config.ts'
import { isWatched, LiveView } from './status/live-view.ts'
import { serverOptions } from './connect/server-options.ts'
import { type AgentTree, settings as definition } from './settings.ts'
import { SOFTWARE } from './version.ts'

/** Runs the listeners and accesses of the configuration until a signal stops it. */
export async function start(invocation: Invocation<AgentTree, OwnCommands>): Promise<number> {
  const { loaded, json, colour, around } = invocation
  const { settings } = loaded
  const { stdout, stderr, env, signals } = around
  if (settings.listeners.length === 0 && settings.accesses.length === 0) {
    throw new UserError('nothing to do: no listeners and no accesses are configured', {
      exitCode: EXIT.usage,
      hint: 'list them in a file and give its path with --config, or use adit http, adit tcp or adit access',
    })
  }
  using view = isWatched(settings, around, json) ? new LiveView(stderr, colour) : undefined
  const { level, format, rate: logRate } = settings.log
  using rate = new LogRate((logRate.amount * 60_000) / logRate.periodMs)
  const logger = createLogger({ level, format, rate, stream: view?.output ?? stderr, colour })
  const server = { ...(await serverOptions(settings.connect, env)), software: SOFTWARE, logger }

  await using consumer = new Consumer(server)
  await using agent = new Agent({ ...server, connections: settings.connect.connections })
  const links = {
    listeners: new ConnectionMonitor(agent),
    accesses: new ConnectionMonitor(consumer),
  }
  const lastProblem = (): unknown => links.accesses.problem?.error
  const running = new RunningConfig({ agent, consumer, logger, lastProblem })
  const urls = settings.connect.url
  const described = {
    software: SOFTWARE,
    urls,
    agent,
    consumer,
    links,
    running,
    stop: signals.stop,
  }
  const status = async (): Promise<AgentStatus> => await describeAgent(described)
  await using _socket = await openControlSocket(env, status, logger)
  try {
    await using _admin = await openAdminPort(settings.admin, status, {
      logger,
      signal: signals.stop,
    })
    await running.apply(settings, signals.stop)
    view?.start(described)
    await using _reloading = await reloading(invocation, {
      settings: definition,
      logger,
      apply: async (next) => {
        await running.apply(next.settings, signals.stop)
        logger.level = next.settings.log.level
      },
    })
    await Promise.all([
      running.ready(signals.stop),
      ...(settings.accesses.length > 0 ? [consumer.ready({ signal: signals.stop })] : []),
    ])
    if (view === undefined) await announce(running, { agent, consumer, urls, stdout, json })
    else await Promise.all([view.refresh(), noteBinds(running, view.output)])
    await drainOnStop({
      signals,
      gracePeriodMs: settings.gracePeriodMs,
      logger,
      failures: [consumer.failed, running.failed],
      drain: async (options) => {
        running.drain(options)
        await Promise.all([agent.close(options), consumer.close(options)])
      },
    })
    return EXIT.ok
  } catch (error) {
    if (signals.stop.aborted) return EXIT.ok
    throw explainError(error)
  } finally {
    running.destroy()
  }
}
