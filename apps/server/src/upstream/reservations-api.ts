import {
  conflictDetails,
  conflictText,
  type NameConflict,
  RESERVATIONS_ROUTE,
} from '@proj/tunnel/server'

import type { Reservation } from '../store/reservation-store.ts'
import { limitText } from '../store/share-limits.ts'
import {
  type Answer,
  endpointRefusal,
  IdentityApi,
  type IdentityApiParts,
  type Question,
  readJsonBody,
  refusal,
} from './identity-api.ts'
import {
  heldBy,
  nameProblem,
  NOT_DURABLE,
  type ReserveContext,
  reserveName,
} from './reserve-name.ts'

/** What the API works with. An identity that may serve a name may reserve it. */
export interface ReservationsApiParts extends ReserveContext, IdentityApiParts {}

/**
 * The names an identity holds, on the upstream port: `GET`, and `PUT` and `DELETE` of one
 * (docs/protocol.md, "Reservations"). What is acknowledged is on the disk.
 */
export function createReservationsApi(parts: ReservationsApiParts): IdentityApi {
  const reservations = new ReservationAnswers(parts)
  return new IdentityApi(
    {
      path: RESERVATIONS_ROUTE,
      about: 'a reserved name',
      isOfEndpoint: true,
      list: (question) => reservations.list(question),
      put: async (endpoint, question) => await reservations.reserve(endpoint, question),
      remove: async (endpoint, question) => await reservations.release(endpoint, question),
    },
    parts,
  )
}

class ReservationAnswers {
  readonly #parts: ReservationsApiParts

  constructor(parts: ReservationsApiParts) {
    this.#parts = parts
  }

  list({ grant: { tenant, identity } }: Question): Answer {
    const { reservations } = this.#parts.store
    const own = reservations.list({ tenant, identity })
    return { status: 200, body: { reservations: own.map((one) => this.#describe(one)) } }
  }

  async reserve(endpoint: string, question: Question): Promise<Answer> {
    const { tenant, identity } = question.grant
    const kind = kindOf(await readJsonBody(question.request))
    if (kind === undefined) {
      return refusal(400, 'body-invalid', 'the body is {"kind":"http"} or {"kind":"tcp"}')
    }
    const problem = nameProblem(endpoint)
    if (problem !== undefined) return refusal(400, 'endpoint-invalid', problem)
    const refused = endpointRefusal(endpoint, question)
    if (refused !== undefined) return refused
    const wish = { endpoint: { tenant, name: endpoint }, identity, kind }
    const outcome = await reserveName(wish, this.#parts)
    if (outcome.code === 'not-durable') return refusal(503, outcome.code, NOT_DURABLE)
    if (outcome.code === 'taken') return this.#taken(endpoint, outcome.conflict, question)
    if (outcome.code === 'limit-reached') {
      return refusal(409, outcome.code, limitText(outcome, 'names can be reserved'))
    }
    // Agents send no If-Match.
    if (outcome.code === 'not-as-seen') throw new Error('no version was asked for')
    if (outcome.isNew) this.#note('name.reserved', endpoint, question)
    return { status: outcome.isNew ? 201 : 200, body: this.#describe(outcome.reservation) }
  }

  async release(endpoint: string, question: Question): Promise<Answer> {
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

function kindOf(body: unknown): 'http' | 'tcp' | undefined {
  if (body === undefined) return 'http'
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  const { kind = 'http' } = body as { readonly kind?: unknown }
  return kind === 'http' || kind === 'tcp' ? kind : undefined
}
