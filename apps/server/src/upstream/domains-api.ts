import { claimName, conflictText, conflictDetails, DOMAINS_ROUTE } from '@proj/tunnel/server'

import type { ProvedDomains } from '../domains/proved-domains.ts'
import { recordName } from '../domains/txt-proof.ts'
import { canonicalDomain } from '../proxy/domains.ts'
import type { DomainClaim } from '../store/domain-store.ts'
import {
  type Answer,
  endpointRefusal,
  IdentityApi,
  type IdentityApiParts,
  type Question,
  readJsonBody,
  refusal,
} from './identity-api.ts'
import { nameProblem, type ReserveContext } from './reserve-name.ts'

/** What the API works with. An identity that may serve an endpoint may ask for a domain for it. */
export interface DomainsApiParts extends ReserveContext, IdentityApiParts {
  readonly domains: ProvedDomains
}

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
    const { store, domains } = this.#parts
    const { tenant, identity } = question.grant
    const endpoint = endpointIn(await readJsonBody(question.request))
    if (endpoint === undefined) {
      return refusal(400, 'body-invalid', 'the body is {"endpoint":"NAME"}')
    }
    const problem = nameProblem(endpoint)
    if (problem !== undefined) return refusal(400, 'endpoint-invalid', problem)
    const domain = canonicalDomain(text)
    if (domain === undefined) return notADomain(text)
    const refused = endpointRefusal(endpoint, question)
    if (refused !== undefined) return refused
    if (store.file === undefined) {
      const why = 'domains would be lost when this server ends: it cannot write to its data_dir'
      return refusal(503, 'not-durable', why)
    }
    const why = domains.problemOf(domain)
    if (why !== undefined) return refusal(403, 'domain-refused', `${domain} is refused: ${why}`)
    const named = { tenant, name: endpoint }
    const conflict = claimName({ endpoint: named, identity }, this.#parts)
    if (conflict !== undefined) {
      const error = conflictText(endpoint, conflict)
      return { status: 409, body: { error, ...conflictDetails(conflict) } }
    }
    const before = store.domains.find({ tenant, identity, domain })
    const outcome = await domains.ask({ domain, endpoint: named, identity })
    if (outcome.ok) {
      const { isNew, claim } = outcome
      if (isNew || before?.endpoint !== endpoint) this.#note('domain.asked', claim, question)
      return { status: isNew ? 201 : 200, body: describeClaim(claim) }
    }
    if (outcome.code === 'limit-reached') {
      const error =
        outcome.limit === 0
          ? 'agents cannot ask for domains at this server'
          : `no more than ${outcome.limit} domains can be asked for`
      return refusal(409, outcome.code, error)
    }
    const wanted = { ...outcome.claim, endpoint, identity, tenant }
    this.#note('domain.refused', wanted, question, { heldBy: outcome.claim.identity })
    // The other identity may be of another tenant, so it is not named.
    return refusal(409, outcome.code, `${domain} is proved by another identity`)
  }

  async remove(text: string, question: Question): Promise<Answer> {
    const { store } = this.#parts
    const { tenant, identity } = question.grant
    const domain = canonicalDomain(text)
    if (domain === undefined) return notADomain(text)
    const found = store.domains.find({ tenant, identity, domain })
    const removed = found && (await store.domains.remove(found.value))
    if (removed === undefined) {
      return refusal(404, 'domain-unknown', `${domain} was not asked for by this identity`)
    }
    this.#note('domain.removed', removed, question)
    return { status: 204 }
  }

  #note(
    event: 'domain.asked' | 'domain.removed' | 'domain.refused',
    { domain, endpoint, tenant, identity }: DomainClaim,
    { remoteAddress }: Question,
    more: Readonly<Record<string, string>> = {},
  ): void {
    const fields = { domain, endpoint, tenant, identity, remoteAddress, ...more }
    this.#parts.store.audit.write(event, fields)
  }
}

/** A claim as its identity sees it. */
function describeClaim({ domain, endpoint, value, ...times }: DomainClaim): object {
  const { checkedAt, provedAt, lostAt } = times
  const iso = (at: number): string => new Date(at).toISOString()
  return {
    domain,
    endpoint,
    state: provedAt === undefined ? 'pending' : lostAt === undefined ? 'proved' : 'missing',
    record: { name: recordName(domain), type: 'TXT', value },
    since: iso(times.askedAt),
    ...(checkedAt !== undefined && { checkedAt: iso(checkedAt) }),
    ...(provedAt !== undefined && { provedAt: iso(provedAt) }),
    ...(lostAt !== undefined && { missingSince: iso(lostAt) }),
  }
}

function endpointIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { endpoint } = body as { readonly endpoint?: unknown }
  return typeof endpoint === 'string' ? endpoint : undefined
}

function notADomain(text: string): Answer {
  const error = `not a domain: ${JSON.stringify(text.slice(0, 253))}`
  return refusal(400, 'domain-invalid', error)
}
