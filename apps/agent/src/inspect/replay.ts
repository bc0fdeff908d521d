/**
 * Sends an exchange to the service again: from here, without the tunnel and the rules for visitors. The replay is
 * captured as an exchange of its own.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'

import { isDialError } from '@proj/dialer'
import { formatRequestHead, getHeader, isToken } from '@proj/http1'
import type { ReplayEdit } from '@proj/pages'
import { RESET_REASONS, resetSocket } from '@proj/tunnel/io'

import { InspectError } from './inspect-error.ts'
import type { Capture } from './capture.ts'
import type { Exchange } from './exchange.ts'
import { replayability } from './exchange-rows.ts'

/** How long a service may take to answer a replay, ms. */
const REPLAY_MS = 30_000

/** How long the answer to a replay is read when it is an event stream, which may have no end, ms. */
const EVENTS_MS = 5_000

/** How long nothing may come on a repeated TCP connection, ms; then it is ended. */
const TCP_QUIET_MS = 1_000

/** Headers that belong to the connection, or are made anew. */
const OWN = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
])

/** What a replay works with. */
export interface ReplayParts {
  readonly capture: Capture
  /** Connects to the service of the exchange's endpoint. */
  readonly connect: (signal: AbortSignal) => Promise<Duplex>
  /** Ends the replay. */
  readonly signal: AbortSignal
  /** How long an event stream is read, ms. Default: 5 s. */
  readonly eventsMs?: number
}

/**
 * Sends an exchange again, changed or not, and resolves with the new exchange when it has ended.
 *
 * @throws {InspectError} for an exchange or an edit that cannot be sent.
 */
export async function replay(
  original: Exchange,
  edit: ReplayEdit | undefined,
  { capture, connect, signal, eventsMs = EVENTS_MS }: ReplayParts,
): Promise<Exchange> {
  const bytes = bytesOf(original, edit)
  let begun: Exchange | undefined
  const tap = capture.tapReplay(original, (exchange) => (begun = exchange))
  tap.toSocket(bytes)
  const late = AbortSignal.any([AbortSignal.timeout(REPLAY_MS), signal])
  let reason: number | undefined
  let error: Error | undefined
  let socket: Duplex | undefined
  try {
    socket = await connect(late)
    tap.onConnected()
    const quietMs = original.kind === 'tcp' ? TCP_QUIET_MS : undefined
    const ended = answerOf(socket, { quietMs, eventsMs }, late, {
      onData: (chunk) => tap.fromSocket(chunk),
      isDone: () => begun?.state !== 'open',
      isEvents: () => begun?.kind === 'sse',
    })
    socket.write(bytes)
    if ((await ended) === 'events') {
      reason = RESET_REASONS.consumerGone
      if (begun !== undefined) {
        begun.stopped = `The replay read this event stream for ${eventsMs / 1000} s and ended it; the service did not.`
      }
    } else tap.onServiceEnd()
  } catch (caught) {
    error = caught instanceof Error ? caught : new Error(String(caught))
    reason = reasonOf(error, late)
  } finally {
    if (socket !== undefined) resetSocket(socket)
    tap.onClose(reason, error)
  }
  if (begun === undefined) {
    throw new InspectError('replay_failed', 500, 'the replay was not captured')
  }
  return begun
}

/**
 * Resolves when the answer is complete, or the service has ended; with `events` when it is an event stream that was
 * read for its time.
 */
async function answerOf(
  socket: Duplex,
  { quietMs, eventsMs }: { readonly quietMs: number | undefined; readonly eventsMs: number },
  signal: AbortSignal,
  {
    onData,
    isDone,
    isEvents,
  }: {
    readonly onData: (chunk: Buffer) => void
    readonly isDone: () => boolean
    readonly isEvents: () => boolean
  },
): Promise<'whole' | 'events'> {
  const done = new AbortController()
  let quiet: NodeJS.Timeout | undefined
  let events: NodeJS.Timeout | undefined
  let outcome: 'whole' | 'events' = 'whole'
  const wait = (): void => {
    if (quietMs === undefined) return
    clearTimeout(quiet)
    quiet = setTimeout(() => done.abort(), quietMs)
  }
  socket.on('data', (chunk: Buffer) => {
    onData(chunk)
    wait()
    if (isDone()) done.abort()
    else if (isEvents()) {
      events ??= setTimeout(() => {
        outcome = 'events'
        done.abort()
      }, eventsMs)
    }
  })
  wait()
  const either = AbortSignal.any([done.signal, signal])
  try {
    await once(socket, 'end', { signal: either })
  } catch (error) {
    if (!done.signal.aborted) throw error
  } finally {
    clearTimeout(quiet)
    clearTimeout(events)
    socket.on('error', () => {})
  }
  return outcome
}

function bytesOf(original: Exchange, edit: ReplayEdit | undefined): Buffer {
  if (edit === undefined || original.kind === 'tcp') {
    const { possible, why } = replayability(original)
    if (!possible) throw new InspectError('replay_impossible', 409, why ?? 'it cannot be repeated')
  }
  if (original.kind === 'tcp') return Buffer.from(original.requestBody.content)
  const { request } = original
  if (request === undefined || original.kind === 'websocket') {
    throw new InspectError('replay_impossible', 409, 'it cannot be repeated')
  }
  const method = edit?.method ?? request.method
  const target = edit?.target ?? request.target
  if (!isToken(method) || method === 'CONNECT') {
    throw new InspectError('method_invalid', 400, 'the method is no word of letters')
  }
  if (!/^(?:\/[\u0021-\u007e]*|\*)$/.test(target)) {
    throw new InspectError(
      'target_invalid',
      400,
      'the path has to begin with / and has no spaces; write other characters as %20',
    )
  }
  if (edit?.body === undefined && original.requestBody.isCut) {
    throw new InspectError('body_missing', 409, 'not all of the body was kept: give one')
  }
  const body =
    edit?.body === undefined ? original.requestBody.content : Buffer.from(edit.body, 'base64')
  const headers = withoutOwn(
    edit?.headers === undefined ? request.headers : headersOf(edit.headers, request.headers),
  )
  // A new body is what was shown, without the coding of the original; with another coding it is said by the edit.
  if (edit?.body !== undefined) dropCoding(headers, getHeader(request.headers, 'content-encoding'))
  const hasLength = body.length > 0 || !['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method)
  if (hasLength) headers.push('content-length', String(body.length))
  headers.push('x-request-id', randomBytes(8).toString('hex'), 'connection', 'close')
  const head = formatRequestHead({ method, target, headers })
  return Buffer.concat([Buffer.from(head, 'latin1'), body])
}

function headersOf(
  edited: NonNullable<ReplayEdit['headers']>,
  original: readonly string[],
): string[] {
  return edited.flatMap(({ name, value, keep }) => {
    const text = keep === undefined ? value : original[keep * 2 + 1]
    if (!isToken(name)) {
      throw new InspectError(
        'header_invalid',
        400,
        `${JSON.stringify(name)} is no name of a header`,
      )
    }
    if (text === undefined || /[^\t\u0020-\u007e\u0080-\u00ff]/.test(text)) {
      throw new InspectError('header_invalid', 400, `the value of ${name} cannot be sent`)
    }
    return [name, text]
  })
}

/** Removes `content-encoding` where it says the coding of the original. */
function dropCoding(headers: string[], coding: string | undefined): void {
  for (let at = headers.length - 2; at >= 0; at -= 2) {
    const isCoding = headers[at]?.toLowerCase() === 'content-encoding'
    if (isCoding && headers[at + 1] === coding) headers.splice(at, 2)
  }
}

function withoutOwn(headers: readonly string[]): string[] {
  const kept: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    if (!OWN.has(name.toLowerCase())) kept.push(name, headers[at + 1] ?? '')
  }
  return kept
}

function reasonOf(error: Error, late: AbortSignal): number {
  if (late.aborted) return RESET_REASONS.serviceTimeout
  if (!isDialError(error)) return RESET_REASONS.serviceReset
  return error.code === 'DIAL_CONNECT_REFUSED'
    ? RESET_REASONS.serviceRefused
    : RESET_REASONS.serviceUnreachable
}
