import type { IncomingMessage, ServerResponse } from 'node:http'

import { jsonLine } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'
import {
  type Authorize,
  type ClientCertificate,
  conflictDetails,
  conflictText,
  type Denial,
  type Grant,
  isDenial,
  type NameConflict,
  RESERVATIONS_ROUTE,
  routeEndpoint,
  retryAfterSeconds,
} from '@proj/tunnel/server'

import type { Reservation } from '../store/reservation-store.ts'
import { isStoreError, type StoreErrorCode } from '../store/store-error.ts'
import {
  heldBy,
  nameProblem,
  NOT_DURABLE,
  type ReserveContext,
  reserveName,
} from './reserve-name.ts'

/** Largest body of a request; it holds a few words. */
const MAX_BODY_BYTES = 4096

/** Why a name is not stored, for its owner. */
const REFUSED_WRITE = 'the server cannot write what it keeps'
const REFUSED_WRITES: ReadonlyMap<StoreErrorCode, string> = new Map([
  ['STORE_UNAVAILABLE', 'the database of the cluster does not answer: try again later'],
  ['STORE_READ_ONLY', 'the database of the cluster takes no changes now: try again later'],
])

/** What the API works with. */
export interface ReservationsApiParts extends ReserveContext {
  /** Authorizes requests as registrations: an identity that may serve a name may reserve it. */
  readonly authorize: Authorize
  /** The peer's address, normalised. */
  readonly addressOf: (request: IncomingMessage) => string | undefined
  /** The peer's client certificate. */
  readonly certificateOf: (request: IncomingMessage) => ClientCertificate | undefined
  readonly logger: Logger
}

/** An answer with its body. */
interface Answer {
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

/** A request with the identity that makes it. */
interface Question {
  readonly request: IncomingMessage
  readonly grant: Grant
  readonly remoteAddress: string | undefined
}

/** Whether a request is for this API. */
export function isReservationsPath(url: string): boolean {
  const [path = ''] = url.split('?')
  return path === RESERVATIONS_ROUTE || path.startsWith(`${RESERVATIONS_ROUTE}/`)
}

/**
 * The names an identity holds, on the upstream port: `GET`, and `PUT` and `DELETE` of one
 * (docs/protocol.md, "Reservations"). What is acknowledged is on the disk.
 */
export class ReservationsApi {
  readonly #parts: ReservationsApiParts

  constructor(parts: ReservationsApiParts) {
    this.#parts = parts
  }

  /** Handler of the `request` event for paths of `isReservationsPath`. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer
    try {
      answer = await this.#answer(request)
    } catch (error) {
      // A peer that left in the middle of the request gets no response.
      if (request.destroyed && !request.complete) return
      this.#parts.logger.error({ err: error }, 'request about a reserved name failed')
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
    const [path = ''] = (request.url ?? '').split('?')
    const endpoint = routeEndpoint(`${RESERVATIONS_ROUTE}/`, path)
    const remoteAddress = addressOf(request)
    const certificate = certificateOf(request)
    const verdict = await authorize({
      headers: request.headers,
      action: 'listen',
      endpoint: endpoint ?? '',
      remoteAddress,
      ...(certificate !== undefined && { certificate }),
    })
    if (isDenial(verdict)) return denied(verdict)
    const question = { request, grant: verdict, remoteAddress }
    if (path === RESERVATIONS_ROUTE) {
      if (request.method === 'GET') return this.#list(question)
      return notAllowed('GET')
    }
    if (endpoint === undefined) return refusal(404, 'not-found', 'no such page')
    if (request.method === 'PUT') return await this.#reserve(endpoint, question)
    if (request.method === 'DELETE') return await this.#release(endpoint, question)
    return notAllowed('PUT, DELETE')
  }

  #list({ grant: { tenant, identity } }: Question): Answer {
    const { reservations } = this.#parts.store
    const own = reservations.list({ tenant, identity })
    return { status: 200, body: { reservations: own.map((one) => this.#describe(one)) } }
  }

  async #reserve(endpoint: string, question: Question): Promise<Answer> {
    const { tenant, identity } = question.grant
    const kind = kindOf(await readJsonBody(question.request))
    if (kind === undefined) {
      return refusal(400, 'body-invalid', 'the body is {"kind":"http"} or {"kind":"tcp"}')
    }
    const problem = nameProblem(endpoint)
    if (problem !== undefined) return refusal(400, 'endpoint-invalid', problem)
    if (!question.grant.permits('listen', endpoint)) {
      const allowed = question.grant.describe?.('listen')
      const why = 'endpoint not permitted'
      return refusal(403, 'not-permitted', allowed === undefined ? why : `${why}: ${allowed}`)
    }
    const wish = { endpoint: { tenant, name: endpoint }, identity, kind }
    const outcome = await reserveName(wish, this.#parts)
    if (outcome.code === 'not-durable') return refusal(503, outcome.code, NOT_DURABLE)
    if (outcome.code === 'taken') return this.#taken(endpoint, outcome.conflict, question)
    if (outcome.code === 'limit-reached') {
      return refusal(409, outcome.code, `no more than ${outcome.limit} names can be reserved`)
    }
    if (outcome.isNew) this.#note('name.reserved', endpoint, question)
    return { status: outcome.isNew ? 201 : 200, body: this.#describe(outcome.reservation) }
  }

  async #release(endpoint: string, question: Question): Promise<Answer> {
    const { reservations } = this.#parts.store
    const { tenant, identity } = question.grant
    const name = { tenant, name: endpoint }
    if (await reservations.release(name, identity)) {
      this.#note('name.released', endpoint, question)
      return { status: 204 }
    }
    const found = reservations.find(name)
    if (found !== undefined) return this.#taken(endpoint, heldBy(found), question)
    return refusal(404, 'not-reserved', `${JSON.stringify(endpoint)} is not reserved`)
  }

  #taken(endpoint: string, conflict: NameConflict, question: Question): Answer {
    const { holder, identity } = conflict
    this.#note('name.refused', endpoint, question, { holder, heldBy: identity })
    const error = conflictText(endpoint, conflict)
    return { status: 409, body: { error, ...conflictDetails(conflict) } }
  }

  #note(
    event: 'name.reserved' | 'name.released' | 'name.refused',
    endpoint: string,
    { grant: { tenant, identity }, remoteAddress }: Question,
    more: Readonly<Record<string, string>> = {},
  ): void {
    const fields = { endpoint, tenant, identity, remoteAddress, ...more }
    this.#parts.store.audit.write(event, fields)
  }

  #describe({ tenant, endpoint, kind, identity, port, reservedAt }: Reservation): object {
    const sessions = this.#parts.registry.count({ tenant, name: endpoint })
    const since = new Date(reservedAt).toISOString()
    return { endpoint, kind, identity, since, sessions, ...(port !== undefined && { port }) }
  }
}

function denied({ status, error, retryAfterMs, ...details }: Denial): Answer {
  const answer = { status, body: { error, ...details } }
  if (retryAfterMs === undefined) return answer
  return { ...answer, headers: { 'retry-after': retryAfterSeconds(retryAfterMs) } }
}

function kindOf(body: unknown): 'http' | 'tcp' | undefined {
  if (body === undefined) return 'http'
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  const { kind = 'http' } = body as { readonly kind?: unknown }
  return kind === 'http' || kind === 'tcp' ? kind : undefined
}

function refusal(status: number, code: string, error: string): Answer {
  return { status, body: { error, code } }
}

function notAllowed(allow: string): Answer {
  return { ...refusal(405, 'method-not-allowed', `use ${allow}`), headers: { allow } }
}

/**
 * Reads the JSON body of a request.
 *
 * @returns undefined when there is none; null when it is not JSON or longer than MAX_BODY_BYTES, and
 *   what is left of it is not read.
 */
async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return null
    chunks.push(chunk)
  }
  if (bytes === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch {
    return null
  }
}
