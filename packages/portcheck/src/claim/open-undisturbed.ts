// To open a port and close it at once, as a probe does, disturbs others that do the same: each takes the
// other for the holder. Within a process the calls for one port run one after the other. On Linux a port
// that is busy only for a moment, because another process looks at it, is tried again.
import { setTimeout as delay } from 'node:timers/promises'

import type { Endpoint } from '../endpoint.ts'
import { isPortcheckError, type PortcheckError } from '../errors.ts'
import { mayBlock } from '../holders/holder.ts'
import { readSocketTable, type SocketRow } from '../holders/linux-socket-table.ts'
import { type OpenedPlan, openPlan, type OpenPlanOptions } from './open-plan.ts'
import type { Plan } from './plan.ts'

/** Most attempts to open a port that is busy without a holder: some 150 ms in all. */
const MAX_ATTEMPTS = 6
/** Shortest and longest pause before the second attempt, ms. Random, so that two that look alternate. */
const MIN_PAUSE_MS = 15
const MAX_PAUSE_MS = 45

/** The last call for each port of this process; an entry is removed when it has ended. */
const turns = new Map<number, Promise<unknown>>()

/** Calls `act` when the calls for the same port before it have ended. Port 0 does not wait. */
export async function inTurn<T>(plan: Plan, act: () => Promise<T>): Promise<T> {
  const port = plan.endpoints[0]?.port ?? 0
  if (port === 0) return await act()
  const turn = (turns.get(port) ?? Promise.resolve()).then(act, act)
  turns.set(port, turn)
  try {
    return await turn
  } finally {
    if (turns.get(port) === turn) turns.delete(port)
  }
}

/**
 * Opens the sockets of a plan, in spite of others that only look at the port.
 *
 * @param confirm - believe in a listener only when it is seen twice. This costs some 30 ms for a port that
 *   is busy.
 * @throws {PortcheckError} with the code for the failed bind; no socket stays open.
 */
export async function openUndisturbed(
  plan: Plan,
  options: OpenPlanOptions,
  confirm: boolean,
): Promise<OpenedPlan> {
  let seen: readonly number[] = []
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openPlan(plan, options)
    } catch (error) {
      if (!isPortcheckError(error, 'PORTCHECK_PORT_BUSY') || attempt === MAX_ATTEMPTS) throw error
      const rows = await rowsInTheWay(plan, error)
      if (rows === undefined) throw error
      if (rows.length > 0 && !(confirm && rows.every(({ state }) => state === 'listening'))) {
        throw error
      }
      if (rows.some(({ inode }) => seen.includes(inode))) throw error
      seen = rows.map(({ inode }) => inode)
    }
    await delay(MIN_PAUSE_MS + Math.random() * (MAX_PAUSE_MS - MIN_PAUSE_MS))
  }
}

/**
 * Returns the plan with the sockets first that the table of Linux says are busy: their bind fails, and the
 * others need not be opened.
 */
export async function busyFirst(plan: Plan): Promise<Plan> {
  if (plan.endpoints.length < 2) return plan
  const rows = (await readTable(plan))?.filter(({ state }) => state === 'listening') ?? []
  const isBusy = (endpoint: Endpoint): boolean => rows.some((row) => blocks(row, endpoint))
  return {
    ...plan,
    endpoints: plan.endpoints.toSorted((a, b) => Number(isBusy(b)) - Number(isBusy(a))),
  }
}

async function rowsInTheWay(plan: Plan, error: PortcheckError): Promise<SocketRow[] | undefined> {
  const { endpoints, fallback } = plan
  const tried = fallback === undefined ? endpoints : [...endpoints, fallback]
  const failed = tried.find((one) => one.host === error.address && one.port === error.port)
  const rows = await readTable(plan)
  return failed === undefined ? undefined : rows?.filter((row) => blocks(row, failed))
}

async function readTable(plan: Plan): Promise<SocketRow[] | undefined> {
  const port = plan.endpoints[0]?.port ?? 0
  return process.platform === 'linux' && port !== 0 ? await readSocketTable(port) : undefined
}

function blocks({ address }: SocketRow, endpoint: Endpoint): boolean {
  return mayBlock({ host: address }, endpoint)
}
