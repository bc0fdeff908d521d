import { domainToASCII } from 'node:url'

import { type Endpoint, isHostLabel } from '@proj/tunnel/server'

/** A domain that leads to an endpoint, in addition to the hosts below a base domain. */
export interface DomainRule {
  /** `shop.example.com`, or `*.shop.example.com` for all names below it; international names are allowed. */
  readonly domain: string
  /** The endpoint it leads to. */
  readonly endpoint: Endpoint
}

/**
 * Path of the file that proves a domain. The server answers it itself, for every host: no endpoint can answer it, so
 * a domain that points here already proves nothing for an identity that has only asked for it.
 */
export const PROOF_PATH = '/.well-known/adit-challenge'

/** RFC 1035 section 2.3.4. */
const MAX_NAME_CHARS = 253

/**
 * Returns the one spelling of a domain: in lower case and ASCII (RFC 5891), without a final dot, with `*.` in front
 * where that was written; undefined for what is none.
 */
export function canonicalDomain(text: string): string | undefined {
  // What belongs to a URL would be cut off.
  if (/[\s/\\:?#@%[\]]/.test(text)) return undefined
  const isWildcard = text.startsWith('*.')
  const name = domainToASCII((isWildcard ? text.slice(2) : text).replace(/\.$/, ''))
  const isName = name.length <= MAX_NAME_CHARS && name.split('.').every(isHostLabel)
  // Without letters in the last label it would be an address.
  if (!isName || !/[a-z]/.test(name.slice(name.lastIndexOf('.') + 1))) return undefined
  return isWildcard ? `*.${name}` : name
}

/** The rules of the setting `domains`. */
export function domainRules(
  domains: readonly {
    readonly domain: string
    readonly endpoint: string
    readonly tenant: string | undefined
  }[],
): DomainRule[] {
  return domains.map(({ domain, endpoint: name, tenant = '' }) => ({
    domain,
    endpoint: { tenant, name },
  }))
}

/** Finds the endpoint of a host name. */
export class DomainTable {
  readonly #exact = new Map<string, Endpoint>()
  /** By the name below which all names lead there. */
  readonly #below = new Map<string, Endpoint>()
  /** Domains for what these rules say nothing about. */
  readonly #others: DomainTable | undefined

  /**
   * @param others - further ones, for names that no rule of `rules` fits.
   * @throws {TypeError} for a domain that is none.
   */
  constructor(rules: readonly DomainRule[], others: readonly DomainRule[] = []) {
    this.#others = others.length === 0 ? undefined : new DomainTable(others)
    for (const { domain, endpoint } of rules) {
      const name = canonicalDomain(domain)
      if (name === undefined) throw new TypeError(`not a domain: ${JSON.stringify(domain)}`)
      if (name.startsWith('*.')) this.#below.set(name.slice(2), endpoint)
      else this.#exact.set(name, endpoint)
    }
  }

  /** Whether there are none; then nothing has to be looked up. */
  get isEmpty(): boolean {
    return this.#exact.size === 0 && this.#below.size === 0 && this.#others === undefined
  }

  /**
   * The endpoint of a name: of exactly that name, else of the longest domain that it is below.
   *
   * @param name - in lower case, without port and final dot.
   */
  find(name: string): Endpoint | undefined {
    return this.#findOwn(name) ?? this.#others?.find(name)
  }

  /** Names that lead to an endpoint and to no other, without wildcards. */
  namesOf(endpoint: Endpoint): string[] {
    const own = [...this.#exact].flatMap(([domain, { tenant, name }]) =>
      endpoint.tenant === tenant && endpoint.name === name ? [domain] : [],
    )
    const others = this.#others?.namesOf(endpoint) ?? []
    return [...own, ...others.filter((domain) => this.#findOwn(domain) === undefined)]
  }

  #findOwn(name: string): Endpoint | undefined {
    const exact = this.#exact.get(name)
    if (exact !== undefined || this.#below.size === 0) return exact
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const endpoint = this.#below.get(name.slice(dot + 1))
      if (endpoint !== undefined) return endpoint
    }
    return undefined
  }
}
