import { conflictDetails, conflictText, type Endpoint } from '@proj/tunnel/server'

import { describeReservation } from '../../commands/name-view.ts'
import type { IsAsSeen, Reservation } from '../../store/reservation-store.ts'
import { limitText } from '../../store/share-limits.ts'
import {
  nameProblem,
  NOT_DURABLE,
  type ReserveContext,
  reserveName,
} from '../../upstream/reserve-name.ts'
import { ApiError } from './api-error.ts'
import {
  type ApiCall,
  type ApiResult,
  type ApiRoute,
  type QueryShape,
  shapeOf,
} from './api-route.ts'
import type { ObjectShape } from './json-shape.ts'
import { pageOf, PAGE_QUERY, pageShape, tagOf } from './paging.ts'

/** Longest identity: those of JWTs are as long as their issuers make them. */
export const MAX_IDENTITY_CHARS = 1_000

/** A reservation as the API and `--json` show it. */
export const RESERVATION_SHAPE: ObjectShape = {
  type: 'object',
  description: 'A name that is held for an identity.',
  properties: {
    tenant: { type: 'string', description: 'Empty: none.' },
    endpoint: { type: 'string' },
    kind: { type: 'string', enum: ['http', 'tcp'] },
    identity: { type: 'string', description: 'The identity it is reserved for.' },
    since: { type: 'string', format: 'date-time' },
    port: { type: 'integer', minimum: 1, maximum: 65_535, description: 'Its public TCP port.' },
  },
  required: ['tenant', 'endpoint', 'kind', 'identity', 'since'],
}

const NAME = { name: 'Name of the endpoint.' }

const TENANT: Readonly<Record<'tenant', QueryShape>> = {
  tenant: { type: 'string', maxLength: 253, description: 'Tenant of the name. Default: none.' },
}

/** The routes of reservations. */
export function reservationRoutes(context: ReserveContext): ApiRoute[] {
  const { reservations, audit } = context.store
  return [
    {
      method: 'GET',
      path: '/reservations',
      summary: 'Lists the reserved names.',
      query: {
        ...PAGE_QUERY,
        tenant: { type: 'string', maxLength: 253, description: 'Only those of this tenant.' },
        identity: {
          type: 'string',
          maxLength: MAX_IDENTITY_CHARS,
          description: 'Only those of this identity.',
        },
      },
      answers: {
        200: { text: 'A page of reservations.', shape: pageShape(shapeOf('Reservation')) },
      },
      errors: [],
      run: async (call) => {
        const { tenant, identity } = call.query
        const found = reservations.list({
          ...(tenant !== undefined && { tenant: String(tenant) }),
          ...(identity !== undefined && { identity: String(identity) }),
        })
        const page = pageOf(found, (one) => `${one.tenant}\n${one.endpoint}`, call)
        return { body: { ...page, items: page.items.map(describeReservation) } }
      },
    },
    {
      method: 'GET',
      path: '/reservations/{name}',
      summary: 'Shows a reserved name.',
      parts: NAME,
      query: TENANT,
      answers: { 200: { text: 'The reservation.', shape: shapeOf('Reservation') } },
      errors: ['not-found'],
      run: async (call) => shown(existing(call)),
    },
    {
      method: 'PUT',
      path: '/reservations/{name}',
      summary: 'Reserves a name for an identity, or changes the kind of its reservation.',
      parts: NAME,
      query: TENANT,
      body: {
        type: 'object',
        properties: {
          identity: {
            type: 'string',
            minLength: 1,
            maxLength: MAX_IDENTITY_CHARS,
            description: 'Who may serve it: token:ID, or the sub of a JWT.',
          },
          kind: { type: 'string', enum: ['http', 'tcp'], default: 'http' },
        },
        required: ['identity'],
        additionalProperties: false,
      },
      answers: {
        200: { text: 'It was reserved for the identity before.', shape: shapeOf('Reservation') },
        201: { text: 'It is reserved now.', shape: shapeOf('Reservation') },
      },
      errors: [
        'endpoint-invalid',
        'limit-reached',
        'name-taken',
        'not-durable',
        'precondition-failed',
      ],
      isConditional: true,
      run: async (call) => {
        const endpoint = endpointOf(call)
        const problem = nameProblem(endpoint.name)
        if (problem !== undefined) throw new ApiError('endpoint-invalid', problem)
        const before = reservations.find(endpoint)
        const isAsSeen = asSeenBy(call)
        isAsSeen(before) // before it is said who else has the name
        // It has the shape above.
        const { identity, kind = 'http' } = call.body as Pick<Reservation, 'identity'> &
          Partial<Pick<Reservation, 'kind'>>
        const outcome = await reserveName({ endpoint, identity, kind, isAsSeen }, context)
        if (outcome.code === 'not-durable') throw new ApiError(outcome.code, NOT_DURABLE)
        if (outcome.code === 'not-as-seen') throw new ApiError('precondition-failed')
        if (outcome.code === 'limit-reached') {
          throw new ApiError(outcome.code, limitText(outcome, 'names can be reserved'))
        }
        if (outcome.code === 'taken') {
          const { holder, since } = conflictDetails(outcome.conflict)
          const details = { holder, heldBy: outcome.conflict.identity, since }
          throw new ApiError('name-taken', conflictText(endpoint.name, outcome.conflict), details)
        }
        const { isNew, reservation } = outcome
        if (isNew || before?.kind !== kind) noteChange('name.reserved', reservation, call)
        return { status: isNew ? 201 : 200, ...shown(reservation) }
      },
    },
    {
      method: 'DELETE',
      path: '/reservations/{name}',
      summary: 'Releases a reserved name of any identity.',
      parts: NAME,
      query: TENANT,
      answers: { 200: { text: 'The former reservation.', shape: shapeOf('Reservation') } },
      errors: ['not-found', 'precondition-failed'],
      isConditional: true,
      run: async (call) => {
        const found = existing(call)
        // Of this identity only: another one may have it meanwhile.
        const { identity } = found
        const released = await reservations.release(endpointOf(call), identity, asSeenBy(call))
        if (released === undefined) {
          existing(call) // another request may have released it
          throw new ApiError('precondition-failed')
        }
        noteChange('name.released', released, call)
        return { body: describeReservation(released) }
      },
    },
  ]

  function existing(call: ApiCall): Reservation {
    const found = reservations.find(endpointOf(call))
    if (found !== undefined) return found
    throw new ApiError('not-found', 'the name is not reserved')
  }

  function noteChange(
    event: 'name.reserved' | 'name.released',
    { tenant, endpoint, kind, identity }: Reservation,
    { actor }: ApiCall,
  ): void {
    audit.write(event, { endpoint, tenant, kind, identity, ...actor })
  }
}

function endpointOf({ path, query }: ApiCall): Endpoint {
  return { tenant: String(query['tenant'] ?? ''), name: path['name'] ?? '' }
}

/** Judges If-Match right before the change: two requests with one tag do not both succeed. */
function asSeenBy({ requireMatch }: ApiCall): IsAsSeen {
  return (held) => {
    requireMatch(held === undefined ? 'none' : reservationTag(held))
    return true
  }
}

function reservationTag({ identity, kind, port, reservedAt }: Reservation): string {
  return tagOf([identity, kind, port ?? null, reservedAt])
}

function shown(reservation: Reservation): ApiResult {
  return { body: describeReservation(reservation), tag: reservationTag(reservation) }
}
