/** The page of the inspector and its API (docs/inspector.md). It does not listen by itself. */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'

import { getHeader } from '@proj/http1'
import type { ApiProblem, InspectorState, PageAsset, ReplayEdit, RowsChange } from '@proj/pages'
import { PAGE_HEADERS, sendPageFile } from '@proj/program-kit'

import type { Capture } from './capture.ts'
import { streamChanges } from './change-stream.ts'
import { curlCommand } from './curl-command.ts'
import { decodeBody } from './decode-body.ts'
import type { Exchange } from './exchange.ts'
import { detailOf, rowOf } from './exchange-rows.ts'
import { readHar, urlOf, writeHar } from './har.ts'
import { guard, type GuardRules } from './inspect-guard.ts'
import { InspectError } from './inspect-error.ts'
import { replay, type ReplayParts } from './replay.ts'
import type { Secrets } from './secrets.ts'

/** Longest body of a request, bytes: an archive, or a body that is edited. */
const MAX_BODY_BYTES = 64 * 1024 * 1024

/** Most streams of changes at once, of all pages. */
const MAX_STREAMS = 16

/** Most replays at once. */
const MAX_REPLAYS = 8

/** Time for a request with its head and body, and for an idle connection, ms. */
const REQUEST_TIMEOUT_MS = 30_000

/** What the inspector shows, and to whom. */
export interface InspectServerParts {
  readonly capture: Capture
  readonly secrets: Secrets
  readonly rules: GuardRules
  readonly software: string
  /** Files of the page; undefined: they were not built. */
  readonly assets: () => Promise<readonly PageAsset[] | undefined>
  readonly state: () => InspectorState
  /** Connects to the service of an endpoint; undefined: it has no listener here. */
  readonly connect: (endpoint: string) => ReplayParts['connect'] | undefined
}

/** A request that may be answered. */
interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  /** Aborted when its client goes. */
  readonly signal: AbortSignal
  /** The exchange that the path names. */
  readonly exchange: () => Exchange
}

type Route = (call: Call) => void | Promise<void>

/** Makes the server; the caller gives it connections. */
export function createInspectServer(parts: InspectServerParts): Server {
  const boot = randomBytes(6).toString('hex')
  const routes = routesOf(parts, boot)
  return createServer(
    {
      maxHeaderSize: 16_384,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      for (const [name, value] of Object.entries(PAGE_HEADERS)) response.setHeader(name, value)
      void answer(request, response, parts, routes).catch((error: unknown) => {
        sendProblem(response, error)
      })
    },
  )
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  parts: InspectServerParts,
  routes: ReadonlyMap<string, Route>,
): Promise<void> {
  const { url = '/', method = 'GET' } = request
  const [path = '/', query = ''] = url.split('?')
  const isApi = path.startsWith('/api/')
  guard(request, isApi, parts.rules)
  if (!isApi) return await sendAsset(path.slice(1), request, response, parts)
  const [, id] = /^\/api\/exchanges\/(\d{1,15})(?:\/|$)/.exec(path) ?? []
  const shape = id === undefined ? path : path.replace(id, 'ID')
  const route = routes.get(`${method} ${shape}`)
  if (route === undefined) throw new InspectError('route_unknown', 404, 'There is no such route.')
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  await route({
    request,
    response,
    query: new URLSearchParams(query),
    signal: gone.signal,
    exchange: () => {
      const found = parts.capture.store.find(Number(id))
      if (found !== undefined) return found
      throw new InspectError('exchange_gone', 404, 'The exchange is no longer kept.')
    },
  })
}

function routesOf(parts: InspectServerParts, boot: string): ReadonlyMap<string, Route> {
  const { capture, secrets, software, state, connect } = parts
  const { store } = capture
  let streams = 0
  let replays = 0
  return new Map<string, Route>([
    ['GET /api/state', ({ response }) => sendJson(response, state())],
    [
      'GET /api/exchanges',
      ({ response }) => {
        const rows = store.all().map((exchange) => rowOf(exchange, secrets))
        sendJson(response, { reset: true, rows, removed: [] } satisfies RowsChange)
      },
    ],
    [
      'GET /api/stream',
      ({ request, response, signal }) => {
        if (streams >= MAX_STREAMS) {
          throw new InspectError('too_many_pages', 429, 'The inspector is open in too many tabs.')
        }
        streams += 1
        response.on('close', () => (streams -= 1))
        const last = request.headers['last-event-id']
        const id = typeof last === 'string' ? last : undefined
        streamChanges(response, id, { store, secrets, boot, state }, signal)
        // After the listener of the stream, which ends its watch of the store.
        response.on('close', () => {
          if (!capture.records && !store.isWatched) store.clear()
        })
      },
    ],
    [
      'GET /api/exchanges/ID',
      ({ response, exchange }) => sendJson(response, detailOf(exchange(), secrets)),
    ],
    [
      'GET /api/exchanges/ID/body',
      async ({ response, query, exchange, signal }) => {
        const { request, response: answered, requestBody, responseBody } = exchange()
        const isRequest = query.get('side') === 'request'
        const headers = (isRequest ? request : answered)?.headers ?? []
        const content = Buffer.from((isRequest ? requestBody : responseBody).content)
        const encoding = query.has('decoded') ? getHeader(headers, 'content-encoding') : undefined
        const decoded = await decodeBody(content, encoding ?? '', signal)
        response.writeHead(200, {
          'content-type': 'application/octet-stream',
          'content-disposition': 'attachment; filename="body.bin"',
          ...(decoded.isCut && { 'x-adit-cut': '1' }),
          ...(decoded.problem !== undefined && {
            'x-adit-problem': decoded.problem.replace(/[^ -~]/g, '?'),
          }),
        })
        response.end(decoded.content)
      },
    ],
    [
      'POST /api/exchanges/ID/reveal',
      async ({ request, response, exchange }) => {
        const asked = await readJson(request)
        const { request: sent, response: answered } = exchange()
        const index = Number(asked['index'])
        const value =
          asked['side'] === 'target'
            ? sent?.target
            : (asked['side'] === 'request' ? sent : answered)?.headers[index * 2 + 1]
        if (value === undefined) {
          throw new InspectError('field_unknown', 404, 'There is no such field.')
        }
        sendJson(response, { value })
      },
    ],
    [
      'POST /api/exchanges/ID/pin',
      async ({ request, response, exchange }) => {
        const asked = await readJson(request)
        if (!store.pin(exchange(), asked['pinned'] === true)) {
          throw new InspectError('pins_full', 409, 'No more can be pinned: unpin or clear some.')
        }
        sendJson(response, {})
      },
    ],
    [
      'POST /api/exchanges/ID/replay',
      async ({ request, response, exchange, signal }) => {
        const asked = await readJson(request)
        const original = exchange()
        const to = connect(original.endpoint)
        if (to === undefined) {
          throw new InspectError('endpoint_unknown', 409, 'Its endpoint has no listener here now.')
        }
        if (replays >= MAX_REPLAYS) {
          throw new InspectError('too_many_replays', 429, 'Too many replays are running.')
        }
        replays += 1
        try {
          const edit = asked['edit'] === undefined ? undefined : readEdit(asked['edit'])
          const done = await replay(original, edit, { capture, connect: to, signal })
          sendJson(response, { id: done.id })
        } finally {
          replays -= 1
        }
      },
    ],
    [
      'GET /api/exchanges/ID/curl',
      ({ response, query, exchange }) => {
        const one = exchange()
        const { request, requestBody } = one
        if (request === undefined) throw new InspectError('no_request', 409, 'It is no request.')
        const isWhole = query.has('secrets')
        const fields = secrets.maskHeaders(request.headers)
        const headers = isWhole
          ? request.headers
          : fields.flatMap(({ name, value, hidden }) => [
              name,
              hidden === undefined || value !== '' ? value : 'hidden',
            ])
        const target = isWhole ? request.target : secrets.maskTarget(request.target)
        const hidden = fields.filter((field) => field.hidden !== undefined).length
        const command = curlCommand({
          method: request.method,
          url: urlOf(one, target),
          headers,
          body: requestBody.content,
          bodyBytes: requestBody.bytes,
        })
        sendJson(response, {
          command,
          hidden: hidden + (secrets.maskTarget(request.target) === request.target ? 0 : 1),
        })
      },
    ],
    [
      'GET /api/har',
      async ({ response, query, signal }) => {
        const ids = query.get('ids')?.split(',').map(Number)
        const wanted = store.all().filter(({ id }) => ids === undefined || ids.includes(id))
        response.writeHead(200, {
          'content-type': 'application/json',
          'content-disposition': 'attachment; filename="adit.har"',
        })
        const entries = writeHar(wanted, software, secrets, query.has('secrets'))
        await pipeline(Readable.from(entries), response, { signal }).catch(() => response.destroy())
      },
    ],
    [
      'POST /api/har',
      async ({ request, response }) => sendJson(response, readHar(await readText(request), store)),
    ],
    [
      'POST /api/clear',
      async ({ request, response }) => {
        await readJson(request)
        store.clear()
        sendJson(response, {})
      },
    ],
    [
      'GET /api/search',
      ({ response, query }) => {
        const ids = store
          .all()
          .filter((one) => matches(one, query, secrets))
          .map(({ id }) => id)
        sendJson(response, { ids })
      },
    ],
  ])
}

/** Whether an exchange has a header or a body with a text; hidden values do not count. */
function matches(exchange: Exchange, query: URLSearchParams, secrets: Secrets): boolean {
  const header = query.get('header')?.toLowerCase()
  const body = query.get('body')
  if (header !== undefined) {
    const [name = '', ...value] = header.split('=')
    const lists = [exchange.request?.headers ?? [], exchange.response?.headers ?? []]
    const fields = lists.flatMap((list) => secrets.maskHeaders(list))
    const isThere = fields.some(
      (field) =>
        field.name.toLowerCase() === name && field.value.toLowerCase().includes(value.join('=')),
    )
    if (!isThere) return false
  }
  if (body === null) return true
  const { requestBody, responseBody, messages } = exchange
  const contents = [requestBody.content, responseBody.content, ...messages.map(({ data }) => data)]
  return contents.some((content) => content.includes(body))
}

async function sendAsset(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  { assets }: InspectServerParts,
): Promise<void> {
  const all = await assets()
  if (all === undefined) {
    throw new InspectError('not_built', 503, 'The page was not built: run pnpm build.')
  }
  if (!sendPageFile(all, path, request, response)) {
    throw new InspectError('route_unknown', 404, 'There is no such page.')
  }
}

function readEdit(value: unknown): ReplayEdit {
  if (typeof value !== 'object' || value === null) throw notUnderstood()
  const { method, target, headers, body } = value as Record<string, unknown>
  const isText = (one: unknown): one is string | undefined =>
    one === undefined || typeof one === 'string'
  if (!isText(method) || !isText(target) || !isText(body)) throw notUnderstood()
  if (headers !== undefined && !(Array.isArray(headers) && headers.every(isEditedHeader))) {
    throw notUnderstood()
  }
  return {
    ...(method !== undefined && { method }),
    ...(target !== undefined && { target }),
    ...(headers !== undefined && { headers: headers as NonNullable<ReplayEdit['headers']> }),
    ...(body !== undefined && { body }),
  }
}

function isEditedHeader(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { name, value: text, keep } = value as Record<string, unknown>
  const isKept = typeof keep === 'number' && Number.isInteger(keep)
  return typeof name === 'string' && (isKept || (keep === undefined && typeof text === 'string'))
}

function notUnderstood(): InspectError {
  return new InspectError('body_invalid', 400, 'The request is not understood.')
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) {
      throw new InspectError('body_too_large', 413, 'The request has more than 64 MiB.')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse((await readText(request)) || '{}')
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (error) {
    if (error instanceof InspectError) throw error
  }
  throw notUnderstood()
}

function sendJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function sendProblem(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const known = error instanceof InspectError ? error : undefined
  const problem: ApiProblem = {
    error: known?.message ?? (error instanceof Error ? error.message : String(error)),
    code: known?.code ?? 'internal',
    ...(known?.hint !== undefined && { hint: known.hint }),
  }
  // What is left of a body would be read as the next request.
  response.setHeader('connection', 'close')
  response.writeHead(known?.status ?? 500, { 'content-type': 'application/json' })
  response.end(JSON.stringify(problem))
}
