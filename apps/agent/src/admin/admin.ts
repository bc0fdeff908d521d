import type { Server } from 'node:http'

import {
  type AdminCommand,
  type AdminPage,
  type AgentPages,
  createAdminServer,
  jsonPage,
  metricsPage,
} from '@proj/program-kit'

import { agentMetrics } from './metrics.ts'

/**
 * The admin pages of a running agent: `/health`, `/ready`, `/metrics` and `/status`. They are served on
 * the admin port and on the control socket.
 *
 * @param hosts - host names of the port; undefined on the control socket.
 * @param commands - what POST does, only on the control socket.
 */
export function createAgentAdmin(
  status: () => Promise<AgentPages['/status']>,
  hosts: readonly string[] | undefined,
  commands: ReadonlyMap<string, AdminCommand> = new Map(),
): Server {
  return createAdminServer({
    hosts,
    commands,
    pages: new Map<string, AdminPage>([
      ['/health', () => ({})],
      ['/ready', async () => ({ status: (await status()).ready ? 200 : 503 })],
      ['/metrics', metricsPage(async () => agentMetrics(await status()))],
      ['/status' satisfies keyof AgentPages, jsonPage(status)],
    ]),
  })
}
