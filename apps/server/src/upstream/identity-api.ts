/** The part that the APIs of the upstream port have in common: who asks, and how an answer is written. */
import type { IncomingMessage, ServerResponse } from 'node:http'

import { jsonLine } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'
import {
  type Authorize,
  type ClientCertificate,
  type Denial,
  type Grant,
  isDenial,
  routeEndpoint,
  retryAfterSeconds,
} from '@proj/tunnel/server'

import { isStoreError, type StoreErrorCode } from '../store/store-error.ts'

/** Largest body of a request; it holds a few words. */
const MAX_BODY_BYTES = 4096

/** Why something is not stored, for its owner. */
const REFUSED_WRITE = 'the server cannot write what it keeps'
const REFUSED_WRITES: ReadonlyMap<StoreErrorCode, string> = new Map([
  ['STORE_UNAVAILABLE', 'the database of the cluster does not answer: try again later'],
  ['STORE_READ_ONLY', 'the database of the cluster takes no changes now: try again later'],
])

/** What such an API works with. */
export interface IdentityApiParts {
  /** Authorizes requests as registrations of agents. */
  readonly authorize: Authorize
  /** The peer's address, normalised. */
  readonly addressOf: (request: IncomingMessage) => string | undefined
  /** The peer's client certificate. */
  readonly certificateOf: (request: IncomingMessage) => ClientCertificate | undefined
  readonly logger: Logger
}

/** An answer with its body. */
export interface Answer {
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

/** A request with the identity that makes it. */
export interface Question {
  readonly request: IncomingMessage
  readonly grant: Grant
  readonly remoteAddress: string | undefined
}

/** What an API answers below its path. */
export interface IdentityRoutes {
  /** `/adit/v1/reservations`; an item is behind it and a slash. */
  readonly path: string
  /** What a request is about, for the log. */
  readonly about: string
  /** Whether an item is an endpoint, which the credentials must be for. */
  readonly isOfEndpoint: boolean
  /** `GET` of the path. */
  readonly list: (question: Question) => Answer
  /** `PUT` of an item. */
  readonly put: (item: string, question: Question) => Promise<Answer>
  /** `DELETE` of an item. */
  readonly remove: (item: string, question: Question) => Promise<Answer>
}

/** What an identity has, on the upstream port: `GET`, and `PUT` and `DELETE` of one. */
export class IdentityApi {
  readonly #routes: IdentityRoutes
  readonly #parts: IdentityApiParts

  constructor(routes: IdentityRoutes, parts: IdentityApiParts) {
    this.#routes = routes
    this.#parts = parts
  }

  /** Whether a request is for this API. */
  matches(url: string): boolean {
    const [path = ''] = url.split('?')
    return path === this.#routes.path || path.startsWith(`${this.#routes.path}/`)
  }

  /** Handler of the `request` event for what `matches`. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer
    try {
      answer = await this.#answer(request)
    } catch (error) {
      // A peer that left in the middle of the request gets no response.
      if (request.destroyed && !request.complete) return
      this.#parts.logger.error({ err: error }, `request about ${this.#routes.about} failed`)
      answer = isStoreError(error)
        ? refusal(503, 'unavailable', REFUSED_WRITES.get(error.code) ?? REFUSED_WRITE)
        : { status: 500, body: { error: 'internal error' } }
    }
    const { status, body, headers } = answer
    const text = body === undefined ? '' : jsonLine(body)
    response.writeHead(status, {
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(body !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
      // The rest of a body that was not read would be taken for the next request.
      ...(!request.complete && { connection: 'close' }),
      ...headers,
    })
    response.end(text)
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { authorize, addressOf, certificateOf } = this.#parts
    const { path: route, isOfEndpoint, list, put, remove } = this.#routes
    const [path = ''] = (request.url ?? '').split('?')
    const item = routeEndpoint(`${route}/`, path)
    const remoteAddress = addressOf(request)
    const certificate = certificateOf(request)
    const verdict = await authorize({
      headers: request.headers,
      action: 'listen',
      endpoint: isOfEndpoint ? (item ?? '') : '',
      remoteAddress,
      ...(certificate !== undefined && { certificate }),
    })
    if (isDenial(verdict)) return denied(verdict)
    const question = { request, grant: verdict, remoteAddress }
    if (path === route) return request.method === 'GET' ? list(question) : notAllowed('GET')
    if (item === undefined) return refusal(404, 'not-found', 'no such page')
    if (request.method === 'PUT') return await put(item, question)
    if (request.method === 'DELETE') return await remove(item, question)
    return notAllowed('PUT, DELETE')
  }
}

/** An answer that says why not. */
export function refusal(status: number, code: string, error: string): Answer {
  return { status, body: { error, code } }
}

/** The answer to an identity that may not serve an endpoint; undefined: it may. */
export function endpointRefusal(endpoint: string, { grant }: Question): Answer | undefined {
  if (grant.permits('listen', endpoint)) return undefined
  const allowed = grant.describe?.('listen')
  const why = 'endpoint not permitted'
  return refusal(403, 'not-permitted', allowed === undefined ? why : `${why}: ${allowed}`)
}

/**
 * Reads the JSON body of a request.
 *
 * @param most - longest one that is read, bytes.
 * @returns undefined when there is none; null when it is not JSON or longer, and what is left of it is not read.
 */
export async function readJsonBody(
  request: IncomingMessage,
  most = MAX_BODY_BYTES,
): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > most) return null
    chunks.push(chunk)
  }
  if (bytes === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch {
    return null
  }
}

function denied({ status, error, retryAfterMs, ...details }: Denial): Answer {
  const answer = { status, body: { error, ...details } }
  if (retryAfterMs === undefined) return answer
  return { ...answer, headers: { 'retry-after': retryAfterSeconds(retryAfterMs) } }
}

function notAllowed(allow: string): Answer {
  return { ...refusal(405, 'method-not-allowed', `use ${allow}`), headers: { allow } }
}
