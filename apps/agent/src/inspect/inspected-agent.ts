import { formatListenerAddr } from '../listeners/listener-addr.ts'
import type { ConnectionMonitor } from '../connect/connection-monitor.ts'
import type { RunningConfig } from '../running-config.ts'
import { SOFTWARE } from '../version.ts'
import type { InspectedAgent } from './open-inspector.ts'

/** What the inspector shows of a running agent. */
export function inspectedAgent({
  running,
  link,
}: {
  readonly running: Pick<RunningConfig, 'listeners'>
  readonly link: Pick<ConnectionMonitor, 'isUp' | 'problem'>
}): InspectedAgent {
  return {
    software: SOFTWARE,
    link: () => {
      const error = link.problem?.error
      return { isUp: link.isUp, problem: error instanceof Error ? error.message : undefined }
    },
    listeners: () =>
      running.listeners.map(({ setting, made }) => ({
        endpoint: made.listener.endpoint,
        kind: made.listener.kind,
        service: formatListenerAddr(setting.addr),
        urls: made.listener.urls,
        online: made.listener.online,
        failure: made.lastFailure?.text,
        connect: made.connect,
      })),
  }
}
