/** Exchanges as the API gives them, secrets hidden. */
import { getHeader } from '@proj/http1'
import type { BodyInfo, ExchangeDetail, ExchangeRow, MessageInfo } from '@proj/pages'
import { resetReasonCode } from '@proj/tunnel/io'

import { inflateMessages } from './decode-body.ts'
import type { Exchange } from './exchange.ts'
import type { KeptBytes } from './kept-bytes.ts'
import type { Secrets } from './secrets.ts'

/** Longest target in a row, characters; the detail has all of it. */
const MAX_TARGET = 2_048

/** Seconds that the small picture of a TCP connection shows. */
const SPARK_SECONDS = 30

/** One line of the list. */
export function rowOf(exchange: Exchange, secrets: Secrets): ExchangeRow {
  const { request, response, kind } = exchange
  const times = timesOf(exchange)
  const type = getHeader(response?.headers ?? [], 'content-type')
    ?.split(';', 1)[0]
    ?.trim()
  const rates = kind === 'tcp' ? exchange.rates() : undefined
  const target = request === undefined ? '' : secrets.maskTarget(request.target)
  return {
    id: exchange.id,
    seq: exchange.seq,
    kind,
    endpoint: exchange.endpoint,
    startedAt: new Date(exchange.startedAt).toISOString(),
    state: exchange.state,
    method: request?.method ?? '',
    target: target.slice(0, MAX_TARGET),
    host: getHeader(request?.headers ?? [], 'host') ?? '',
    ...(response !== undefined && response.status > 0 && { status: response.status }),
    ...(type !== undefined && type !== '' && { type: type.toLowerCase() }),
    ...(exchange.visitor !== undefined && { visitor: exchange.visitor }),
    ...(exchange.requestId !== undefined && { requestId: exchange.requestId }),
    ...(exchange.code !== undefined && { code: resetReasonCode(exchange.code) }),
    ...times,
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    ...((kind === 'websocket' || kind === 'sse') && { messages: exchange.messageCount }),
    ...(rates !== undefined && {
      spark: rates.in.map((bytes, at) => bytes + (rates.out[at] ?? 0)).slice(-SPARK_SECONDS),
    }),
    ...(exchange.pinned && { pinned: true }),
    ...(exchange.givenUp !== undefined && { givenUp: exchange.givenUp }),
    ...((exchange.requestBody.isCut || exchange.responseBody.isCut) && { cut: true }),
    ...(exchange.replayOf !== undefined && { replayOf: exchange.replayOf }),
    ...(exchange.imported && { imported: true }),
    ...(exchange.afterDown && { afterDown: true }),
  }
}

/** One exchange, whole. */
export function detailOf(exchange: Exchange, secrets: Secrets): ExchangeDetail {
  const { request, response, kind } = exchange
  const rates = kind === 'tcp' ? exchange.rates() : undefined
  const isStream = kind === 'websocket' || kind === 'sse'
  return {
    row: {
      ...rowOf(exchange, secrets),
      ...(request !== undefined && { target: secrets.maskTarget(request.target) }),
    },
    requestHeaders: secrets.maskHeaders(request?.headers ?? []),
    responseHeaders: secrets.maskHeaders(response?.headers ?? []),
    ...(response !== undefined && { reason: response.reason }),
    ...(request !== undefined &&
      secrets.maskTarget(request.target) !== request.target && { hidesTarget: true }),
    requestBody: bodyInfo(exchange.requestBody),
    responseBody: bodyInfo(exchange.responseBody),
    ...(isStream && {
      messages: messagesOf(exchange),
      messagesDropped: exchange.messageCount - exchange.messages.length,
    }),
    ...(rates !== undefined && { rates }),
    ends: exchange.ends,
    ...(exchange.stopped !== undefined && { stopped: exchange.stopped }),
    replay: replayability(exchange),
    replayNotes: replayNotes(exchange),
  }
}

/** Why an exchange cannot be sent again as it is. */
export function replayability(exchange: Exchange): ExchangeDetail['replay'] {
  const { kind, request, requestBody } = exchange
  if (kind === 'websocket') return { possible: false, why: 'A WebSocket cannot be repeated.' }
  if (kind !== 'tcp' && request === undefined) {
    return { possible: false, why: 'Its request could not be read.' }
  }
  if (exchange.imported) {
    return { possible: false, why: 'It is from a file. Edit it, then send it.' }
  }
  if (requestBody.isCut) {
    const what = kind === 'tcp' ? 'bytes of the visitor were' : 'bytes of the body were'
    const why = `Only the first ${requestBody.kept} of ${requestBody.bytes} ${what} kept.`
    return { possible: false, why: kind === 'tcp' ? why : `${why} Edit it and give a body.` }
  }
  return { possible: true }
}

/** What a replay may not do as the original did. */
function replayNotes({ kind, request, requestBody }: Exchange): string[] {
  const notes: string[] = []
  if (kind === 'tcp') {
    const first = requestBody.content
    if (first[0] === 0x16 && first[1] === 0x03) {
      notes.push('It is TLS: the service will reject keys of an earlier connection.')
    } else if (first.subarray(0, 4).toString('latin1') === 'SSH-') {
      notes.push('It is SSH: the service will reject keys of an earlier connection.')
    } else notes.push('A service that sends a number of its own first will reject these bytes.')
    return notes
  }
  const headers = request?.headers ?? []
  if (getHeader(headers, 'idempotency-key') !== undefined) {
    notes.push('It has an Idempotency-Key: the service may give the answer that it remembers.')
  }
  if (
    getHeader(headers, 'stripe-signature') !== undefined ||
    getHeader(headers, 'x-slack-signature') !== undefined
  ) {
    notes.push('It is signed with a time: the service may reject it after some minutes.')
  }
  return notes
}

function timesOf(
  exchange: Exchange,
): Pick<ExchangeRow, 'totalMs' | 'tunnelMs' | 'waitMs' | 'bodyMs'> {
  const { started, requestEnd = started, responseStart, ended } = exchange.times
  const { tunnelMs } = exchange
  const asked = responseStart !== undefined && requestEnd > responseStart ? started : requestEnd
  return {
    ...(ended !== undefined && { totalMs: ended - started + (tunnelMs ?? 0) }),
    ...(tunnelMs !== undefined && { tunnelMs }),
    ...(responseStart !== undefined && { waitMs: responseStart - asked }),
    ...(responseStart !== undefined && ended !== undefined && { bodyMs: ended - responseStart }),
  }
}

function bodyInfo({ bytes, kept }: KeptBytes): BodyInfo {
  return { bytes, kept }
}

function messagesOf(exchange: Exchange): MessageInfo[] {
  const dropped = exchange.messageCount - exchange.messages.length
  const read = new Map<unknown, Buffer | undefined>()
  for (const from of ['visitor', 'service'] as const) {
    const own = exchange.messages.filter((message) => message.from === from)
    for (const [at, content] of inflateMessages(own, dropped === 0).entries()) {
      read.set(own[at], content)
    }
  }
  return exchange.messages.map((message, at) => {
    const { from, atMs, type, bytes, data } = message
    const content = read.get(message)
    const shown = content ?? data
    const isText = content !== undefined && (type === 'text' || type === 'event')
    return {
      number: dropped + at + 1,
      from,
      atMs,
      type,
      bytes,
      data: shown.toString(isText ? 'utf8' : 'base64'),
      ...(!isText && { isBase64: true }),
      ...(data.length < bytes && { cut: true }),
      ...(content === undefined && { compressed: true }),
    }
  })
}
