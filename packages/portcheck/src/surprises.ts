// Everything that may surprise although the bind succeeded, for sockets that are open or were a
// moment ago.
import { neighbourWarnings } from './neighbours.ts'
import { honoursReusePort } from './node-support.ts'
import type { OpenedPlan } from './open-plan.ts'
import type { Plan } from './plan.ts'
import { sharingWarnings } from './sharing.ts'
import type { Warning } from './warnings.ts'

/** Warns about other programs on the port; a failing look-up is no reason to give the port up. */
export async function surpriseWarnings(plan: Plan, opened: OpenedPlan): Promise<Warning[]> {
  const endpoints = opened.sockets.map((socket) => socket.endpoint)
  const sharing = plan.reusePort && honoursReusePort() ? await sharingWarnings(endpoints) : []
  return [...(await neighbourWarnings(endpoints)), ...sharing]
}
