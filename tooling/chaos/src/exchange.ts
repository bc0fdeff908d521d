// One tagged request or connection, and what became of it.
import { once } from 'node:events'
import { request, type Agent, type ClientRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

import { endedByReset } from '@proj/testkit/raw-http'

import { payload, PayloadCheck, pour } from './payload.ts'

/**
 * What became of an exchange, as its client saw it.
 * - ok: the whole right answer
 * - lost: an error status, or an end that is no clean one
 * - wrong: bytes of another exchange, or no bytes of ours
 * - truncated: a clean end before the end
 * - hung: neither an answer nor an end
 */
export type Verdict = 'ok' | 'lost' | 'wrong' | 'truncated' | 'hung'

/** What to send. */
export interface Task {
  readonly id: string
  /** An HTTP method, or `TCP` for a connection. */
  readonly method: 'GET' | 'POST' | 'TCP'
  /** Bytes of the upload and of the answer. */
  readonly up: number
  readonly down: number
  /** How the service frames its answer, and how the client its upload. Default: length. */
  readonly framing?: 'length' | 'chunked' | 'close'
  /** How long the service takes for its answer, ms. */
  readonly waitMs?: number
  /** For so many ms its client writes and reads slowly, then as fast as it can. Default 0. */
  readonly slowMs?: number
}

/** Where to send it. */
export interface Target {
  readonly port: number
  /** Host header of a request. */
  readonly host?: string
  /** Source address. */
  readonly from?: string
  /** Connections that are used again. Default: one for each request. */
  readonly agent?: Agent
}

/** How it went. */
export interface Outcome {
  readonly task: Task
  readonly verdict: Verdict
  /** What was seen, for people: a status with its code, an error code, a position. */
  readonly detail: string
  /** Times of performance.now(). */
  readonly startedAt: number
  readonly endedAt: number
}

type Judgement = Pick<Outcome, 'verdict' | 'detail'>

/** An exchange without its end after this many ms has hung. Above each time-out of the programs' defaults. */
export const HANG_MS = 60_000

const SLOW_BYTES = 128
const SLOW_PAUSE_MS = 1000

/** Does one exchange; never rejects. */
export async function exchange(task: Task, to: Target, hangMs: number = HANG_MS): Promise<Outcome> {
  const startedAt = performance.now()
  const limitMs = hangMs + (task.slowMs ?? 0)
  const { verdict, detail } = await (task.method === 'TCP'
    ? converse(task, to, limitMs)
    : ask(task, to, limitMs))
  return { task, verdict, detail, startedAt, endedAt: performance.now() }
}

async function ask(task: Task, to: Target, hangMs: number): Promise<Judgement> {
  const query = `down=${task.down}&framing=${task.framing ?? 'length'}&wait=${task.waitMs ?? 0}`
  const slowUntil = performance.now() + (task.slowMs ?? 0)
  const isChunked = task.framing === 'chunked'
  const sent = request({
    host: '127.0.0.1',
    port: to.port,
    method: task.method,
    path: `/${task.id}?${query}`,
    headers: {
      host: to.host ?? 'service',
      'chaos-up': task.up,
      ...(task.up > 0 && !isChunked && { 'content-length': task.up }),
    },
    ...(to.agent && { agent: to.agent }),
    ...(to.from !== undefined && { localAddress: to.from }),
  })
  let received: IncomingMessage | undefined
  const isDone = (): boolean => received?.complete === true && sent.writableFinished
  return await judged(hangMs, sent, isDone, async () => {
    const answered = once(sent, 'response') as Promise<[IncomingMessage]>
    void upload(task, sent)
    const [response] = await answered
    received = response
    const body = new PayloadCheck(`${task.id}-down`, task.down)
    // Node up to 20 takes a reset for the end of an answer that has no length
    let isReset = false
    const { socket } = response
    const onEnd = (): void => void (isReset = endedByReset(socket))
    socket.prependListener('end', onEnd)
    const { statusCode: status, headers } = response
    const isOurs = status === 200
    try {
      for await (const chunk of response) {
        if (isOurs) body.add(chunk as Buffer)
        if (performance.now() < slowUntil) await delay(SLOW_PAUSE_MS)
      }
    } catch (error) {
      // an answer that is cut is lost, one that was not ours up to there is worse
      if (isOurs && body.wrongAt !== undefined) {
        return { verdict: 'wrong', detail: body.problem }
      }
      throw error
    } finally {
      socket.off('end', onEnd)
    }
    if (isReset) return { verdict: body.wrongAt === undefined ? 'lost' : 'wrong', detail: 'RST' }
    if (!isOurs) {
      return { verdict: 'lost', detail: `${status} ${String(headers['adit-error'] ?? '')}`.trim() }
    }
    if (headers['chaos-id'] !== task.id) {
      return { verdict: 'wrong', detail: `answer of ${String(headers['chaos-id'])}` }
    }
    return judgePayload(body)
  })
}

async function converse(task: Task, to: Target, hangMs: number): Promise<Judgement> {
  const socket = connect({
    host: '127.0.0.1',
    port: to.port,
    allowHalfOpen: true,
    noDelay: true,
    ...(to.from !== undefined && { localAddress: to.from }),
  })
  return await judged(
    hangMs,
    socket,
    () => false,
    async () => {
      const received = new PayloadCheck(`${task.id}-down`, task.down)
      let last = ''
      const mismatch = new Promise<void>((resolve) => {
        socket.on('data', (chunk) => {
          const own = Math.max(0, Math.min(chunk.length, task.down - received.bytes))
          if (own > 0) received.add(chunk.subarray(0, own))
          last += chunk.toString('latin1', own)
          if (received.wrongAt !== undefined) resolve()
        })
      })
      let isReset = false
      socket.once('end', () => (isReset = endedByReset(socket)))
      const ended = once(socket, 'end')
      socket.write(`${task.id} ${task.up} ${task.down}\n`)
      void upload(task, socket)
      await Promise.race([ended, mismatch])
      if (received.wrongAt !== undefined) return { verdict: 'wrong', detail: received.problem }
      if (isReset) return { verdict: 'lost', detail: 'RST' }
      if (!received.isWhole || last === '') {
        return { verdict: 'truncated', detail: received.problem }
      }
      if (last === 'B') return { verdict: 'truncated', detail: 'the service saw a short upload' }
      return last === 'K'
        ? { verdict: 'ok', detail: '' }
        : { verdict: 'wrong', detail: 'bytes behind the end' }
    },
  )
}

async function upload(task: Task, to: Writable): Promise<void> {
  const bytes = payload(`${task.id}-up`, task.up)
  const slowUntil = performance.now() + (task.slowMs ?? 0)
  let at = 0
  for (; performance.now() < slowUntil && at < bytes.length && !to.destroyed; at += SLOW_BYTES) {
    to.write(bytes.subarray(at, at + SLOW_BYTES))
    await delay(SLOW_PAUSE_MS)
  }
  await pour(to, bytes.subarray(at))
  to.end()
}

/** Waits for a judgement, for an error of the connection, or until it has hung. */
async function judged(
  hangMs: number,
  connection: ClientRequest | Socket,
  isDone: () => boolean,
  judge: () => Promise<Judgement>,
): Promise<Judgement> {
  let timer: NodeJS.Timeout | undefined
  const hung = new Promise<Judgement>((resolve) => {
    timer = setTimeout(() => resolve({ verdict: 'hung', detail: `${hangMs} ms` }), hangMs)
  })
  const closed = new Promise<Judgement>((resolve) => {
    connection.on('error', (error) => resolve({ verdict: 'lost', detail: codeOf(error) }))
    // behind the events of its last bytes, which may hold the whole answer
    if (!('setHeader' in connection)) {
      connection.once('close', () => setImmediate(resolve, { verdict: 'lost', detail: 'closed' }))
    }
  })
  try {
    return await Promise.race([
      judge().catch((error: unknown): Judgement => ({ verdict: 'lost', detail: codeOf(error) })),
      closed,
      hung,
    ])
  } finally {
    clearTimeout(timer)
    // a request that got its whole answer leaves its connection to the next one
    if (!isDone()) connection.destroy()
  }
}

function judgePayload(received: PayloadCheck): Judgement {
  if (received.isWhole) return { verdict: 'ok', detail: '' }
  const verdict = received.wrongAt === undefined ? 'truncated' : 'wrong'
  return { verdict, detail: received.problem }
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : String(error)
}
