import { conflictDetails, DOMAINS_ROUTE } from '@proj/tunnel/server'

import { describeClaim } from '../domains/claim-view.ts'
import { canonicalDomain } from '../proxy/domains.ts'
import type { Challenge, DomainClaim } from '../store/domain-store.ts'
import {
  challengeIn,
  type ClaimDomainContext,
  claimDomain,
  DOMAIN_REFUSALS,
  notADomain,
} from './claim-domain.ts'
import {
  type Answer,
  endpointRefusal,
  IdentityApi,
  type IdentityApiParts,
  type Question,
  readJsonBody,
  refusal,
} from './identity-api.ts'

/** What the API works with. An identity that may serve an endpoint may ask for a domain for it. */
export interface DomainsApiParts extends ClaimDomainContext, IdentityApiParts {}

/**
 * The domains that an identity asks for, on the upstream port: `GET`, and `PUT` and `DELETE` of one
 * (docs/protocol.md, "Domains"). What is acknowledged is on the disk.
 */
export function createDomainsApi(parts: DomainsApiParts): IdentityApi {
  const answers = new DomainAnswers(parts)
  return new IdentityApi(
    {
      path: DOMAINS_ROUTE,
      about: 'a domain',
      isOfEndpoint: false,
      list: (question) => answers.list(question),
      put: async (domain, question) => await answers.ask(domain, question),
      remove: async (domain, question) => await answers.remove(domain, question),
    },
    parts,
  )
}

class DomainAnswers {
  readonly #parts: DomainsApiParts

  constructor(parts: DomainsApiParts) {
    this.#parts = parts
  }

  list({ grant: { tenant, identity } }: Question): Answer {
    const own = this.#parts.store.domains.list({ tenant, identity })
    return { status: 200, body: { domains: own.map(describeClaim) } }
  }

  async ask(text: string, question: Question): Promise<Answer> {
    const { store } = this.#parts
    const { tenant, identity } = question.grant
    const wish = wishIn(await readJsonBody(question.request))
    if (wish === undefined) {
      const shape = '{"endpoint":"NAME"}, also with "challenge":"txt" or "http"'
      return refusal(400, 'body-invalid', `the body is ${shape}`)
    }
    const refused = endpointRefusal(wish.endpoint, question)
    if (refused !== undefined) return refused
    const endpoint = { tenant, name: wish.endpoint }
    const outcome = await claimDomain({ ...wish, domain: text, endpoint, identity }, this.#parts)
    if (outcome.code === 'asked') {
      const { isNew, hasChanged, claim } = outcome
      if (hasChanged) this.#note('domain.asked', claim, question)
      return { status: isNew ? 201 : 200, body: describeClaim(claim) }
    }
    const { code, message, conflict, holder } = outcome
    if (conflict !== undefined) {
      const body = { error: message, ...conflictDetails(conflict) }
      return { status: DOMAIN_REFUSALS[code], body }
    }
    if (holder !== undefined) {
      const wanted = { ...holder, endpoint: endpoint.name, identity, tenant }
      store.audit.write('domain.refused', {
        ...auditFields(wanted, question),
        heldBy: holder.identity,
      })
    }
    return refusal(DOMAIN_REFUSALS[code], code, message)
  }

  async remove(text: string, question: Question): Promise<Answer> {
    const { store } = this.#parts
    const { tenant, identity } = question.grant
    const domain = canonicalDomain(text)
    if (domain === undefined) return refusal(400, 'domain-invalid', notADomain(text))
    const found = store.domains.find({ tenant, identity, domain })
    const removed = found && (await store.domains.remove(found.value))
    if (removed === undefined) {
      return refusal(404, 'domain-unknown', `${domain} was not asked for by this identity`)
    }
    this.#note('domain.removed', removed, question)
    return { status: 204 }
  }

  #note(event: 'domain.asked' | 'domain.removed', claim: DomainClaim, question: Question): void {
    this.#parts.store.audit.write(event, auditFields(claim, question))
  }
}

function auditFields(
  { domain, endpoint, tenant, identity }: DomainClaim,
  { remoteAddress }: Question,
) {
  return { domain, endpoint, tenant, identity, remoteAddress }
}

function wishIn(
  body: unknown,
): { readonly endpoint: string; readonly challenge: Challenge | undefined } | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { endpoint, challenge: way } = body as { endpoint?: unknown; challenge?: unknown }
  const challenge = challengeIn(way)
  if (typeof endpoint !== 'string' || (way !== undefined && challenge === undefined)) {
    return undefined
  }
  return { endpoint, challenge }
}
