import { unlinkSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'

import { type AgentStatus, EXIT, UserError } from '@proj/program-kit'

import type { ControlFolder } from './control-folder.ts'

/** How long an agent may take to answer, ms. It queries its server about each access. */
const TIMEOUT_MS = 5_000

/** Longest answer that is read, bytes. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

/** What to do when no agent of this user runs. */
export const NO_AGENT_HINT =
  'start one, such as adit http 3000; for an agent of another user run this command as that user'

/** The status of the running agents of this user, and those that did not answer. */
export interface RunningAgents {
  /** Ordered by start, the oldest first. */
  readonly agents: readonly AgentStatus[]
  /** Path of the socket of each of them. */
  readonly socketOf: ReadonlyMap<AgentStatus, string>
  /** Sockets with a listening program that did not answer, with the reason. */
  readonly silent: readonly { readonly socket: string; readonly why: string }[]
}

/** Queries every running agent of this user on this machine. Removes sockets that a crash left behind. */
export async function readRunningAgents(folder: ControlFolder): Promise<RunningAgents> {
  const agents: AgentStatus[] = []
  const socketOf = new Map<AgentStatus, string>()
  const silent: { socket: string; why: string }[] = []
  const ask = async (socket: string): Promise<void> => {
    try {
      const status = await readStatus(socket)
      agents.push(status)
      socketOf.set(status, socket)
    } catch (error) {
      if (isAbandoned(error)) remove(socket)
      else silent.push({ socket, why: error instanceof Error ? error.message : String(error) })
    }
  }
  await Promise.all(folder.sockets().map(ask))
  agents.sort((a, b) => a.startedAt.localeCompare(b.startedAt) || a.pid - b.pid)
  return { agents, socketOf, silent }
}

/** Removes sockets that a crash left behind. */
export async function removeAbandoned(folder: ControlFolder): Promise<void> {
  const look = async (socket: string): Promise<void> => {
    await new Promise<void>((resolve) => {
      const probe = connect({ path: socket })
      probe.setTimeout(TIMEOUT_MS, () => probe.destroy())
      probe.once('connect', () => probe.destroy())
      probe.once('error', (error) => {
        if (isAbandoned(error)) remove(socket)
      })
      probe.once('close', () => resolve())
    })
  }
  await Promise.all(folder.sockets().map(look))
}

async function readStatus(socket: string): Promise<AgentStatus> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const { status, body } = await askAgent(socket, { method: 'GET', path: '/status', signal })
  if (status !== 200) throw new Error(`it answered ${status}`)
  return JSON.parse(body) as AgentStatus // from a socket that only this user could make
}

/**
 * Finds the agent that a command is for.
 *
 * @param pid - process of the agent. Default: the only one that runs.
 * @param way - another way to do the same, for the hint when there is none. Default: none.
 * @throws {UserError} when there is none, or there are several.
 */
export async function findAgent(
  folder: ControlFolder,
  pid: number | undefined,
  way?: string,
): Promise<{ readonly agent: AgentStatus; readonly socket: string }> {
  const { agents, socketOf } = await readRunningAgents(folder)
  const running = agents.filter(({ stopping }) => !stopping)
  const [agent, ...more] = running.filter((one) => pid === undefined || one.pid === pid)
  if (agent === undefined) {
    const which =
      pid === undefined
        ? 'no agent of this user runs here'
        : `process ${pid} is no running agent of this user`
    const hint = way === undefined ? NO_AGENT_HINT : `${NO_AGENT_HINT}, or ${way}`
    throw new UserError(which, { exitCode: EXIT.failed, hint })
  }
  if (more.length > 0) {
    throw new UserError(`${running.length} agents of this user run here`, {
      exitCode: EXIT.usage,
      hint: `name one with --pid: ${running.map((one) => one.pid).join(', ')}`,
    })
  }
  return { agent, socket: socketOf.get(agent) ?? '' }
}

/**
 * Makes a request to a running agent.
 *
 * @param body - of a command. Default: empty.
 */
export async function askAgent(
  socketPath: string,
  how: { readonly method: 'GET' | 'POST'; readonly path: string; readonly signal: AbortSignal },
  body = '',
): Promise<{ readonly status: number; readonly body: string }> {
  return await new Promise((resolve, reject) => {
    const asked = request({ socketPath, agent: false, ...how }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES) asked.destroy(new Error('its answer is too long'))
        chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode ?? 0, body })
      })
    })
    asked.on('error', reject).end(body)
  })
}

function isAbandoned(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
}

function remove(socket: string): void {
  try {
    unlinkSync(socket)
  } catch {
    // another process has removed it
  }
}
