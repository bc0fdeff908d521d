import type { AuditLog } from '../../store/audit-log.ts'
import { ApiError } from './api-error.ts'
import { type ApiCall, type ApiResult, type ApiRoute, shapeOf } from './api-route.ts'
import type { ObjectShape } from './json-shape.ts'

/** What a command to an agent did. */
export const AGENT_ACT_SHAPE: ObjectShape = {
  type: 'object',
  description: 'What was asked of an agent.',
  properties: { sessions: { type: 'integer', minimum: 1, description: 'Sessions it was for.' } },
  required: ['sessions'],
}

/** What can be asked of the agents of this node. Each returns the number of sessions; 0: there is no such agent. */
export interface AgentActs {
  readonly drain: (agent: string) => number
  readonly disconnect: (agent: string) => number
}

/** The routes that act on an agent. */
export function agentRoutes(acts: AgentActs, audit: AuditLog): ApiRoute[] {
  const parts = { id: 'Id of the agent, or of its session where it has no id.' }
  const answers = { 200: { text: 'It was asked.', shape: shapeOf('AgentAct') } }
  const run =
    (act: (agent: string) => number, event: 'agent.drained' | 'agent.disconnected') =>
    async ({ path: { id = '' }, actor }: ApiCall): Promise<ApiResult> => {
      const sessions = act(id)
      if (sessions === 0) {
        throw new ApiError('not-found', 'no agent of that id is connected to this node')
      }
      audit.write(event, { agent: id, sessions, ...actor })
      return { body: { sessions } }
    }
  return [
    {
      method: 'POST',
      path: '/agents/{id}/drain',
      summary:
        'Asks an agent of this node to connect elsewhere; visitors are routed to it until it has. Agents of Piko are ended when their streams are over.',
      parts,
      answers,
      errors: ['not-found'],
      run: run(acts.drain, 'agent.drained'),
    },
    {
      method: 'DELETE',
      path: '/agents/{id}',
      summary: 'Ends the sessions of an agent of this node now. It comes back by itself.',
      parts,
      answers,
      errors: ['not-found'],
      run: run(acts.disconnect, 'agent.disconnected'),
    },
  ]
}
