import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http'

import { jsonLine } from '../output/json-line.ts'
import { findForeignRequest } from './foreign-request.ts'
import { PAGE_HEADERS, type PageFile, sendPageFile } from './page-files.ts'

/** Time for a request with its head and body, and for an idle connection, ms. */
const REQUEST_TIMEOUT_MS = 10_000

/** How often Node looks for requests that take too long, ms; by its own default every 30 s. */
const LOOK_MS = 1_000

/** Longest head of a request, bytes: it may have a token of 8 KiB. */
const MAX_HEAD_BYTES = 16_384

/** Longest body of a command, bytes. Other requests have no body. */
const MAX_BODY_BYTES = 65_536

/** Pages that tell only whether the program is alive; health checks ask for them without a token. */
const PROBES: ReadonlySet<string> = new Set(['/health', '/ready'])

/** The sender of a request where no credentials are judged. */
const UNKNOWN_CALLER: AdminCaller = {
  identity: 'anonymous',
  tenant: '',
  isKnown: false,
  remoteAddress: undefined,
}

/** The answer of a page. */
export interface AdminAnswer {
  /** HTTP status. Default 200. */
  readonly status?: number
  /** Media type of the body. */
  readonly type?: string
  /** The body. Default: empty. */
  readonly body?: string
  /** Further headers. Default: none. */
  readonly headers?: Readonly<Record<string, string>>
  /** Answers in place of all that, and ends the answer itself. */
  readonly stream?: (response: ServerResponse) => void
}

/** Makes the answer of a page. A failure is answered with 500. */
export type AdminPage = () => AdminAnswer | Promise<AdminAnswer>

/** Carries out a command. A failure is answered with 500. */
export type AdminCommand = (body: string) => AdminAnswer | Promise<AdminAnswer>

/** A refusal of the credentials. */
export interface AdminDenial {
  /** Status: 401, 429, 500 or 503. */
  readonly status: number
  /** The reason in one sentence. */
  readonly error: string
  /** Asks to wait this long, ms. */
  readonly retryAfterMs?: number | undefined
}

/** Who sends a request, as the judge of its credentials knows it. */
export interface AdminCaller {
  /** Its identity, or `anonymous` on a port that asks for no credentials. */
  readonly identity: string
  /** Tenant of the identity; empty for none. */
  readonly tenant: string
  /** Whether it has shown credentials. */
  readonly isKnown: boolean
  /** Its address; undefined on a unix socket. */
  readonly remoteAddress: string | undefined
}

/** A request to an API. */
export interface AdminApiRequest {
  /** As it came: any that Node knows. */
  readonly method: string
  /** Path below that of the API, encoded as it came; empty, or with a slash in front. */
  readonly path: string
  /** Without the question mark; empty where there is none. */
  readonly query: string
  /** `1.1`, or `1.0`. */
  readonly httpVersion: string
  /** Port that it came to; 0 on a unix socket. */
  readonly localPort: number
  /** Headers of the request. */
  readonly headers: IncomingHttpHeaders
  /** Empty for GET and HEAD, which have none. Undefined: longer than 65 536 bytes. */
  readonly body: string | undefined
  /** Who sends it. */
  readonly caller: AdminCaller
}

/** Answers requests of any method below one path. */
export interface AdminApi {
  /** `/api/v1`. */
  readonly path: string
  /** Answers a request that may be answered: it is of no foreign web page, and its credentials are good. */
  answer(request: AdminApiRequest): Promise<AdminAnswer>
  /** The answer to a request without good credentials. */
  deny(denial: AdminDenial): AdminAnswer
}

/** A page for people. A browser that asks for `/` is led there. */
export interface AdminSite {
  /** `/console`. */
  readonly path: string
  /** Its files; undefined: they were not built. */
  readonly files: () => Promise<readonly PageFile[] | undefined>
}

/** What an admin port serves, and to whom. */
export interface AdminServerOptions {
  /** Pages by path. Only GET and HEAD are answered. */
  readonly pages: ReadonlyMap<string, AdminPage>
  /**
   * Pages that are not at one fixed path; asked before `pages`, and of requests that may be answered only.
   * Default: none.
   *
   * @param query - without the question mark; empty where there is none.
   */
  readonly findPage?: (path: string, query: string) => AdminPage | undefined
  /**
   * Commands by path, answered to POST. Only for a unix socket: on a port there is no protection against
   * requests that a web page makes. Default: none.
   */
  readonly commands?: ReadonlyMap<string, AdminCommand>
  /** Default: there is none. */
  readonly api?: AdminApi
  /** Default: there is none. Its files hold no data: they are answered to all that reach the port. */
  readonly site?: AdminSite | undefined
  /**
   * Host names of the port, for the rule of `findForeignRequest`. Undefined on a unix socket, which no
   * web page reaches: the rule is then not applied.
   */
  readonly hosts: readonly string[] | undefined
  /** Whether the port asks for credentials now. Default: never. */
  readonly needsCredentials?: () => boolean
  /** Time for a request with its head, ms; it ends up to 1 s later. Default 10000. */
  readonly requestTimeoutMs?: number
  /**
   * Judges the credentials of a request. Default: no credentials are needed.
   *
   * @param isProbe - whether it asks for `/health` or `/ready`.
   */
  readonly authorize?: (
    request: IncomingMessage,
    isProbe: boolean,
  ) => Promise<AdminDenial | AdminCaller>
}

/** A page that answers with JSON. */
export function jsonPage<Value>(read: () => Value | Promise<Value>): AdminPage {
  return async () => ({ type: 'application/json', body: jsonLine(await read()) })
}

/**
 * The admin port of a program: serves read-only pages and an API, with one rule for web pages of others. It does
 * not listen by itself.
 */
export function createAdminServer(options: AdminServerOptions): Server {
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS } = options
  return createServer(
    {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: LOOK_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => {
      response.setHeader('cache-control', 'no-store')
      response.setHeader('adit-port', 'admin') // tells an agent that has the wrong URL
      response.setHeader('x-content-type-options', 'nosniff')
      // A body that is not read to its end would keep the connection.
      if (hasBody(request)) response.setHeader('connection', 'close')
      void answer(options, request, response).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error)
        sendError(response, 500, { error: why, code: 'internal' })
      })
    },
  )
}

async function answer(
  { pages, findPage, commands, api, site, hosts, needsCredentials, authorize }: AdminServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { headers, method, url = '/' } = request
  const [path = '/', query = ''] = url.split('?')
  if (site !== undefined && (path === site.path || path.startsWith(`${site.path}/`))) {
    return await answerSite(site, path, request, response)
  }
  // People open the address that the program printed.
  const isBrowser = method === 'GET' && headers.accept?.includes('text/html') === true
  if (site !== undefined && path === '/' && isBrowser) {
    return send(response, { status: 307, headers: { location: `${site.path.slice(1)}/` } })
  }
  if (hosts !== undefined) {
    const foreign = findForeignRequest(headers, {
      port: 'admin',
      hosts: needsCredentials?.() === true ? 'any' : hosts,
      pages: 'same-origin',
    })
    if (foreign !== undefined) return sendError(response, 403, foreign)
  }
  const isApi = api !== undefined && (path === api.path || path.startsWith(`${api.path}/`))
  const caller = (await authorize?.(request, PROBES.has(path))) ?? UNKNOWN_CALLER
  if ('status' in caller) {
    const { status, error, retryAfterMs } = caller
    const headers: Record<string, string> =
      retryAfterMs === undefined ? {} : { 'retry-after': `${Math.ceil(retryAfterMs / 1000)}` }
    if (isApi) return send(response, api.deny(caller), headers)
    return sendError(response, status, { error }, headers)
  }
  if (isApi) {
    const body = method === 'GET' || method === 'HEAD' ? '' : await readBody(request)
    // The connection is gone: nothing can be answered, and its address is not known any more.
    if (request.socket.destroyed) return
    return send(
      response,
      await api.answer({
        method: method ?? '',
        path: path.slice(api.path.length),
        query,
        httpVersion: request.httpVersion,
        localPort: request.socket.localPort ?? 0,
        headers,
        body,
        caller,
      }),
    )
  }
  const command = method === 'POST' ? commands?.get(path) : undefined
  if (command !== undefined) {
    const body = await readBody(request)
    if (body !== undefined) return send(response, await command(body))
    const error = `a command has at most ${MAX_BODY_BYTES} bytes`
    return sendError(response, 413, { error, code: 'body-too-large' })
  }
  const page = findPage?.(path, query) ?? pages.get(path)
  if (page === undefined) {
    // The words are Piko's.
    return send(response, { status: 404, type: 'text/plain', body: '404 page not found\n' })
  }
  if (method !== 'GET' && method !== 'HEAD') {
    const problem = { error: 'admin pages can only be read', code: 'method-not-allowed' }
    return sendError(response, 405, problem, { allow: 'GET, HEAD' })
  }
  send(response, await page())
}

/** Answers with a file of the page. It has to open from a link on another site, as any page has. */
async function answerSite(
  { path: root, files }: AdminSite,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(PAGE_HEADERS)) response.setHeader(name, value)
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const problem = { error: 'pages can only be read', code: 'method-not-allowed' }
    return sendError(response, 405, problem, { allow: 'GET, HEAD' })
  }
  if (path === root) {
    // Relative: a proxy in front may have put a prefix before the path.
    const location = `${root.slice(root.lastIndexOf('/') + 1)}/`
    return send(response, { status: 308, headers: { location } })
  }
  const all = await files()
  if (all === undefined) {
    const problem = { error: 'the page was not built: run pnpm build', code: 'not-built' }
    return sendError(response, 503, problem)
  }
  if (sendPageFile(all, path.slice(root.length + 1), request, response)) return
  sendError(response, 404, { error: 'there is no such file', code: 'not-found' })
}

/** @returns undefined when the body is too long; it is then read to its end, for as long as a request may take. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  return bytes > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString()
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

function send(
  response: ServerResponse,
  { status = 200, type, body = '', headers: own = {}, stream }: AdminAnswer,
  headers: OutgoingHttpHeaders = {},
): void {
  if (stream !== undefined) return stream(response)
  const typed = type === undefined ? {} : { 'content-type': withCharset(type) }
  response.writeHead(status, { ...typed, ...own, ...headers }).end(body)
}

function sendError(
  response: ServerResponse,
  status: number,
  problem: object,
  headers?: OutgoingHttpHeaders,
): void {
  const body = jsonLine(problem)
  send(response, { status, type: 'application/json', body }, headers)
}

function withCharset(type: string): string {
  return type.includes('charset=') ? type : `${type}; charset=utf-8`
}
