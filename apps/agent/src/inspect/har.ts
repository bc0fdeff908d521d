/** Exchanges as HTTP Archive 1.2, out and in. Own fields begin with an underscore. */
import { getHeader, isToken } from '@proj/http1'

import { rowOf } from './exchange-rows.ts'
import { decodeBody } from './decode-body.ts'
import type { Exchange, RequestParts, ResponseParts } from './exchange.ts'
import type { ExchangeStore } from './exchange-store.ts'
import { InspectError } from './inspect-error.ts'
import type { Secrets } from './secrets.ts'

/** Most entries that are taken from a file. */
const MAX_ENTRIES = 10_000

/** Longest header value or URL that is taken from a file, characters. */
const MAX_TEXT = 65_536

interface NameValue {
  readonly name: string
  readonly value: string
}

/** The public URL of an exchange. */
export function urlOf({ request }: Exchange, target: string): string {
  const host = getHeader(request?.headers ?? [], 'host') ?? 'localhost'
  const scheme =
    getHeader(request?.headers ?? [], 'x-forwarded-proto') === 'https' ? 'https' : 'http'
  return `${scheme}://${host}${target.startsWith('/') ? target : '/'}`
}

/**
 * Writes exchanges as one archive, entry by entry.
 *
 * @param withSecrets - whether hidden values are written.
 */
export async function* writeHar(
  exchanges: readonly Exchange[],
  software: string,
  secrets: Secrets,
  withSecrets: boolean,
): AsyncGenerator<string> {
  const [name = 'adit', version = ''] = software.split('/')
  yield `{"log":{"version":"1.2","creator":${JSON.stringify({ name, version })},"entries":[`
  let isFirst = true
  for (const exchange of exchanges) {
    if (exchange.request === undefined || exchange.isGone) continue
    const entry = await entryOf(exchange, secrets, withSecrets)
    yield `${isFirst ? '' : ','}\n${JSON.stringify(entry)}`
    isFirst = false
  }
  yield ']}}\n'
}

async function entryOf(
  exchange: Exchange,
  secrets: Secrets,
  withSecrets: boolean,
): Promise<object> {
  const { request, response, requestBody, responseBody } = exchange
  const row = rowOf(exchange, secrets)
  const target = request?.target ?? '/'
  const url = urlOf(exchange, withSecrets ? target : secrets.maskTarget(target))
  const headers = (list: readonly string[]): NameValue[] =>
    withSecrets
      ? pairsOf(list)
      : secrets.maskHeaders(list).map(({ name, value, hidden }) => ({
          name,
          value: hidden === undefined || value !== '' ? value : 'hidden',
        }))
  const requestHeaders = headers(request?.headers ?? [])
  const responseHeaders = headers(response?.headers ?? [])
  const encoding = getHeader(response?.headers ?? [], 'content-encoding') ?? ''
  const content = await decodeBody(responseBody.content, encoding)
  const type = getHeader(response?.headers ?? [], 'content-type') ?? ''
  const send = Math.max(
    0,
    (exchange.times.requestEnd ?? exchange.times.started) - exchange.times.started,
  )
  const timings = {
    blocked: row.tunnelMs ?? -1,
    dns: -1,
    connect: -1,
    ssl: -1,
    send,
    wait: row.waitMs ?? 0,
    receive: row.bodyMs ?? 0,
  }
  const time = Object.values(timings).reduce((sum, ms) => sum + Math.max(0, ms), 0)
  return {
    startedDateTime: row.startedAt,
    time,
    request: {
      method: row.method,
      url,
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: requestHeaders,
      queryString: queryOf(url),
      headersSize: -1,
      bodySize: requestBody.bytes,
      ...(requestBody.bytes > 0 && {
        postData: {
          mimeType: getHeader(request?.headers ?? [], 'content-type') ?? '',
          ...textOf(requestBody.content, '_encoding'),
        },
      }),
    },
    response: {
      status: response?.status ?? 0,
      statusText: response?.reason ?? '',
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: responseHeaders,
      content: {
        size: content.content.length,
        mimeType: type,
        ...textOf(content.content, 'encoding'),
      },
      redirectURL:
        responseHeaders.find(({ name }) => name.toLowerCase() === 'location')?.value ?? '',
      headersSize: -1,
      bodySize: responseBody.bytes,
    },
    cache: {},
    timings,
    ...(row.code !== undefined && { _error: row.code }),
    ...(exchange.kind === 'websocket' && {
      _resourceType: 'websocket',
      _webSocketMessages: exchange.messages.map((message) => {
        const isText = message.type === 'text' && !message.isCompressed
        return {
          type: message.from === 'visitor' ? 'send' : 'receive',
          time: (exchange.startedAt + message.atMs) / 1000,
          opcode: OPCODES[message.type] ?? 2,
          data: message.data.toString(isText ? 'utf8' : 'base64'),
        }
      }),
    }),
    _adit: {
      endpoint: row.endpoint,
      requestId: row.requestId,
      visitor: row.visitor,
      ...(row.cut === true && { cut: true }),
      ...(row.givenUp !== undefined && { givenUp: row.givenUp }),
      ...(row.replayOf !== undefined && { replayOf: row.replayOf }),
    },
  }
}

const OPCODES: Readonly<Record<string, number>> = {
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
}

/** A body as text, or base64 where it is none. */
function textOf(content: Buffer, field: string): Record<string, string> {
  const text = content.toString('utf8')
  if (!text.includes('\ufffd') || Buffer.from(text).equals(content)) return { text }
  return { text: content.toString('base64'), [field]: 'base64' }
}

function pairsOf(list: readonly string[]): NameValue[] {
  const pairs: NameValue[] = []
  for (let at = 0; at < list.length; at += 2) {
    pairs.push({ name: list[at] ?? '', value: list[at + 1] ?? '' })
  }
  return pairs
}

function queryOf(url: string): NameValue[] {
  if (!URL.canParse(url)) return []
  return [...new URL(url).searchParams].map(([name, value]) => ({ name, value }))
}

/**
 * Reads an archive into the store, marked as imported.
 *
 * @returns how many entries were taken, and how many were not.
 * @throws {InspectError} for a file that is no archive.
 */
export function readHar(text: string, store: ExchangeStore): { taken: number; refused: number } {
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch {
    throw new InspectError('har_invalid', 400, 'the file is no JSON')
  }
  const entries = fieldOf(fieldOf(root, 'log'), 'entries')
  if (!Array.isArray(entries)) {
    throw new InspectError('har_invalid', 400, 'the file is no HTTP archive: it has no log.entries')
  }
  let taken = 0
  for (const entry of entries.slice(0, MAX_ENTRIES)) if (importEntry(entry, store)) taken += 1
  return { taken, refused: entries.length - taken }
}

function importEntry(entry: unknown, store: ExchangeStore): boolean {
  const request = readRequest(fieldOf(entry, 'request'))
  if (request === undefined) return false
  const response = readResponse(fieldOf(entry, 'response'))
  const startedAt = Date.parse(stringOf(fieldOf(entry, 'startedDateTime')))
  const own = fieldOf(entry, '_adit')
  const exchange = store.begin('http', stringOf(fieldOf(own, 'endpoint')).slice(0, 253) || 'file')
  exchange.imported = true
  exchange.request = request.parts
  exchange.response = response?.parts
  if (Number.isFinite(startedAt)) exchange.startedAt = startedAt
  const timings = fieldOf(entry, 'timings')
  const { times } = exchange
  times.requestEnd = times.started + timeOf(timings, 'send')
  times.responseStart = times.requestEnd + timeOf(timings, 'wait')
  times.ended = times.responseStart + timeOf(timings, 'receive')
  exchange.state = response === undefined ? 'failed' : 'done'
  const charge = (bytes: number): boolean => store.charge(exchange, bytes)
  const headBytes = JSON.stringify([request.parts, response?.parts]).length * 2
  if (!charge(headBytes)) return false
  exchange.requestBody.add(request.body, charge)
  if (response !== undefined) exchange.responseBody.add(response.body, charge)
  exchange.bytesIn = request.body.length
  exchange.bytesOut = response?.body.length ?? 0
  store.touch(exchange)
  return true
}

function readRequest(value: unknown): { parts: RequestParts; body: Buffer } | undefined {
  const method = stringOf(fieldOf(value, 'method'))
  const url = stringOf(fieldOf(value, 'url'))
  if (!isToken(method) || url.length > MAX_TEXT || !URL.canParse(url)) return undefined
  const { protocol, host, pathname, search } = new URL(url)
  if (!/^https?:$/.test(protocol)) return undefined
  const headers = readHeaders(fieldOf(value, 'headers'))
  if (getHeader(headers, 'host') === undefined) headers.unshift('host', host)
  const data = fieldOf(value, 'postData')
  const encoding = stringOf(fieldOf(data, '_encoding')) || stringOf(fieldOf(data, 'encoding'))
  const body = Buffer.from(
    stringOf(fieldOf(data, 'text')),
    encoding === 'base64' ? 'base64' : 'utf8',
  )
  return { parts: { method, target: pathname + search, headers }, body }
}

function readResponse(value: unknown): { parts: ResponseParts; body: Buffer } | undefined {
  const status = fieldOf(value, 'status')
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 100 || status > 999) {
    return undefined
  }
  const content = fieldOf(value, 'content')
  const isBase64 = stringOf(fieldOf(content, 'encoding')) === 'base64'
  // The text is decoded: its coding does not apply any more.
  const headers = readHeaders(fieldOf(value, 'headers'))
  const kept = headers.filter(
    (_, at) => headers[at - (at % 2)]?.toLowerCase() !== 'content-encoding',
  )
  return {
    parts: { status, reason: stringOf(fieldOf(value, 'statusText')).slice(0, 256), headers: kept },
    body: Buffer.from(stringOf(fieldOf(content, 'text')), isBase64 ? 'base64' : 'utf8'),
  }
}

function readHeaders(value: unknown): string[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, 1024).flatMap((one: unknown) => {
    const name = stringOf(fieldOf(one, 'name'))
    const text = stringOf(fieldOf(one, 'value'))
    const isSound = isToken(name) && text.length <= MAX_TEXT && !/[\0\r\n]/.test(text)
    return isSound ? [name, text] : []
  })
}

/** A field of the object itself; not of a prototype. */
function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}

function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function timeOf(timings: unknown, name: string): number {
  const ms = fieldOf(timings, name)
  return typeof ms === 'number' && ms > 0 && ms < 86_400_000 ? ms : 0
}
