import type { DomainItem } from '@proj/pages/console'
import { conflictDetails } from '@proj/tunnel/server'

import { describeOwnedClaim, stateOf } from '../../domains/claim-view.ts'
import { findClaim } from '../../domains/find-claim.ts'
import { canonicalDomain } from '../../proxy/domains.ts'
import { type Challenge, CHALLENGES, type DomainClaim } from '../../store/domain-store.ts'
import {
  claimDomain,
  type ClaimDomainContext,
  type DomainRefusal,
  notADomain,
} from '../../upstream/claim-domain.ts'
import { ApiError, type ApiErrorCode } from './api-error.ts'
import {
  type ApiCall,
  type ApiResult,
  type ApiRoute,
  type QueryShape,
  shapeOf,
} from './api-route.ts'
import type { ObjectShape } from './json-shape.ts'
import { pageOf, PAGE_QUERY, pageShape, tagOf } from './paging.ts'
import { MAX_IDENTITY_CHARS } from './reservation-routes.ts'

const STATES = ['pending', 'proved', 'missing'] as const

/** A domain as the API shows it. */
export const DOMAIN_SHAPE: ObjectShape = {
  type: 'object',
  description:
    'A domain that an identity has asked for; it leads to the endpoint once it is proved.',
  properties: {
    tenant: { type: 'string', description: 'Empty: none.' },
    identity: { type: 'string', description: 'Who has asked for it.' },
    domain: {
      type: 'string',
      description: 'In lower case and ASCII; *. stands for all names below.',
    },
    endpoint: { type: 'string' },
    state: { type: 'string', enum: STATES, description: 'missing: proved, but not any more.' },
    challenge: { type: 'string', enum: CHALLENGES, description: 'How it is proved.' },
    record: {
      type: 'object',
      description: 'The DNS record that proves it, with the challenge txt.',
      properties: {
        name: { type: 'string' },
        type: { type: 'string', enum: ['TXT'] },
        value: { type: 'string' },
      },
      required: ['name', 'type', 'value'],
    },
    file: {
      type: 'object',
      description: 'The file that proves it, with the challenge http: a line of it is the content.',
      properties: { url: { type: 'string' }, content: { type: 'string' } },
      required: ['url', 'content'],
    },
    since: { type: 'string', format: 'date-time' },
    checkedAt: { type: 'string', format: 'date-time', description: 'The last check.' },
    provedAt: { type: 'string', format: 'date-time' },
    missingSince: { type: 'string', format: 'date-time' },
  },
  required: ['tenant', 'identity', 'domain', 'endpoint', 'state', 'challenge', 'since'],
}

const DOMAIN = { domain: 'The domain, with *. in front for a wildcard.' }

const TENANT: QueryShape = {
  type: 'string',
  maxLength: 253,
  description: 'Only of this tenant. Default: any; of callers with a tenant, theirs.',
}

const OWNER: Readonly<Record<'tenant' | 'identity', QueryShape>> = {
  tenant: TENANT,
  identity: {
    type: 'string',
    maxLength: MAX_IDENTITY_CHARS,
    description:
      'Only of this identity. Where several have asked for the domain and none has proved it, it has to be named.',
  },
}

const REFUSALS: Readonly<Record<DomainRefusal, ApiErrorCode>> = {
  'endpoint-invalid': 'endpoint-invalid',
  'domain-invalid': 'domain-invalid',
  'domain-refused': 'domain-refused',
  'challenge-refused': 'challenge-refused',
  'challenge-fixed': 'challenge-fixed',
  'domain-taken': 'domain-taken',
  'limit-reached': 'limit-reached',
  'name-taken': 'name-taken',
  'not-as-seen': 'precondition-failed',
  'not-durable': 'not-durable',
}

/** The routes of domains. Callers with a tenant have those of their tenant. */
export function domainRoutes(context: ClaimDomainContext): ApiRoute[] {
  const { domains, audit } = context.store
  return [
    {
      method: 'GET',
      path: '/domains',
      summary: 'Lists the domains that identities have asked for.',
      query: {
        ...PAGE_QUERY,
        ...OWNER,
        state: { type: 'string', enum: STATES, description: 'Only those in this state.' },
      },
      answers: { 200: { text: 'A page of domains.', shape: pageShape(shapeOf('Domain')) } },
      errors: [],
      isOfTenants: true,
      run: async (call) => {
        const { state } = call.query
        const found = domains
          .list(ownerOf(call))
          .filter((claim) => state === undefined || stateOf(claim) === state)
        const keyOf = ({ domain, tenant, identity }: DomainClaim): string =>
          `${domain}\n${tenant}\n${identity}`
        const page = pageOf(found, keyOf, call)
        const items: readonly DomainItem[] = page.items.map(describeOwnedClaim)
        return { body: { ...page, items } }
      },
    },
    {
      method: 'GET',
      path: '/domains/{domain}',
      summary:
        'Shows a domain: of the identity that has proved it, else of the only one that asks.',
      parts: DOMAIN,
      query: OWNER,
      answers: { 200: { text: 'The domain.', shape: shapeOf('Domain') } },
      errors: ['domain-invalid', 'not-found'],
      isOfTenants: true,
      run: async (call) => shown(existing(call)),
    },
    {
      method: 'PUT',
      path: '/domains/{domain}',
      summary:
        'Asks for a domain for an identity, or changes its endpoint or challenge, and looks for its proof.',
      parts: DOMAIN,
      query: { tenant: { ...TENANT, description: 'Tenant of the endpoint. Default: none.' } },
      body: {
        type: 'object',
        properties: {
          identity: {
            type: 'string',
            minLength: 1,
            maxLength: MAX_IDENTITY_CHARS,
            description: 'Whose domain it is: token:ID, or the sub of a JWT.',
          },
          endpoint: {
            type: 'string',
            minLength: 1,
            maxLength: 253,
            description: 'Where it leads.',
          },
          challenge: {
            type: 'string',
            enum: CHALLENGES,
            description:
              'How it is proved. Default: as before, else the first that the server takes.',
          },
        },
        required: ['identity', 'endpoint'],
        additionalProperties: false,
      },
      answers: {
        200: { text: 'The identity had asked for it before.', shape: shapeOf('Domain') },
        201: { text: 'It is asked for now.', shape: shapeOf('Domain') },
      },
      errors: [...new Set(Object.values(REFUSALS))],
      isConditional: true,
      isOfTenants: true,
      run: async (call) => {
        // It has the shape above.
        const { identity, endpoint, challenge } = call.body as {
          readonly identity: string
          readonly endpoint: string
          readonly challenge?: Challenge
        }
        const { tenant = '' } = ownerOf(call)
        const domain = call.path['domain'] ?? ''
        const isAsSeen = asSeenBy(call)
        const owner = { tenant, identity, domain: canonicalDomain(domain) ?? '' }
        isAsSeen(domains.find(owner)) // before it is said who else has the domain
        const named = { tenant, name: endpoint }
        const wish = { domain, endpoint: named, identity, challenge, isAsSeen }
        const outcome = await claimDomain(wish, context)
        if (outcome.code !== 'asked') {
          const { code, message, conflict, holder } = outcome
          const details = {
            ...(conflict !== undefined && {
              ...conflictDetails(conflict),
              heldBy: conflict.identity,
            }),
            // The operator may know of whom; another tenant may not.
            ...(holder !== undefined && call.tenant === '' && { heldBy: holder.identity }),
          }
          throw new ApiError(REFUSALS[code], message, details)
        }
        const { isNew, hasChanged, claim } = outcome
        if (hasChanged) noteChange('domain.asked', claim, call)
        return { status: isNew ? 201 : 200, ...shown(claim) }
      },
    },
    {
      method: 'POST',
      path: '/domains/{domain}/check',
      summary: 'Looks for the proof of a domain at once.',
      parts: DOMAIN,
      query: OWNER,
      answers: { 200: { text: 'The domain as it is then.', shape: shapeOf('Domain') } },
      errors: ['check-limit', 'domain-invalid', 'not-found'],
      isOfTenants: true,
      run: async (call) => {
        const checked = await context.domains.checkNow(existing(call))
        if (checked === undefined) throw new ApiError('check-limit')
        return shown(checked)
      },
    },
    {
      method: 'DELETE',
      path: '/domains/{domain}',
      summary: 'Takes a domain away from its identity, proved or not.',
      parts: DOMAIN,
      query: OWNER,
      answers: { 200: { text: 'The former domain.', shape: shapeOf('Domain') } },
      errors: ['domain-invalid', 'not-found', 'precondition-failed'],
      isConditional: true,
      isOfTenants: true,
      run: async (call) => {
        const found = existing(call)
        const removed = await domains.remove(found.value, asSeenBy(call))
        if (removed === undefined) throw new ApiError('not-found')
        noteChange('domain.removed', removed, call)
        return { body: describeOwnedClaim(removed) }
      },
    },
  ]

  function existing(call: ApiCall): DomainClaim {
    const text = call.path['domain'] ?? ''
    const domain = canonicalDomain(text)
    if (domain === undefined) throw new ApiError('domain-invalid', notADomain(text))
    const found = findClaim(domains, domain, ownerOf(call))
    if (found === 'none') throw new ApiError('not-found', 'the domain was not asked for')
    if (found !== 'several') return found
    const message = 'identity: several have asked for the domain, so one has to be named'
    throw new ApiError('query-invalid', message, { field: 'identity' })
  }

  function noteChange(
    event: 'domain.asked' | 'domain.removed',
    { domain, endpoint, tenant, identity }: DomainClaim,
    { actor }: ApiCall,
  ): void {
    audit.write(event, { domain, endpoint, tenant, identity, ...actor })
  }
}

/** Whose domains a call is about: those of its tenant, where the caller has one. */
function ownerOf({ query, tenant: own }: ApiCall): {
  readonly tenant?: string
  readonly identity?: string
} {
  const { tenant, identity } = query
  if (own !== '' && tenant !== undefined && tenant !== own) throw new ApiError('tenant-refused')
  const named = own === '' ? tenant : own
  return {
    ...(named !== undefined && { tenant: String(named) }),
    ...(identity !== undefined && { identity: String(identity) }),
  }
}

/** Judges If-Match right before the change: two requests with one tag do not both succeed. */
function asSeenBy({ requireMatch }: ApiCall): (found: DomainClaim | undefined) => boolean {
  return (found) => {
    requireMatch(found === undefined ? 'none' : domainTag(found))
    return true
  }
}

/** A check that finds the same is no change. */
function domainTag({ value, endpoint, challenge, provedAt, lostAt }: DomainClaim): string {
  return tagOf([value, endpoint, challenge, provedAt ?? null, lostAt ?? null])
}

function shown(claim: DomainClaim): ApiResult {
  return { body: describeOwnedClaim(claim), tag: domainTag(claim) }
}
