import { createHash } from 'node:crypto'

import type { RequestHead } from '@proj/http1'
import { type Endpoint, endpointKey } from '@proj/tunnel/server'

/** Name of the cookie. */
const NAME = 'adit_agent'
const PREFIX = `${NAME}=`

/** Values that are remembered; beyond it they are computed again. */
const MAX_VALUES = 10_000

/** Characters of a value: 96 bits. */
const VALUE_LENGTH = 16

/**
 * Cookies that name the agent of a visitor, for endpoints with `balance: cookie`. A value is a digest of the endpoint
 * and of the random id of the agent's process: it says nothing about either, other servers that the agent is connected
 * to know it too, and one that fits no agent of the endpoint is ignored.
 */
export class StickyCookies {
  readonly #values = new Map<string, string>()

  /** The agent that a cookie of a request names, of those that serve the endpoint; undefined: none of them. */
  findPeer(head: RequestHead, endpoint: Endpoint, peers: readonly string[]): string | undefined {
    const asked = valuesIn(head)
    if (asked.size === 0) return undefined
    // Each agent is looked up once, however many cookies there are: a visitor may send a thousand.
    let first: number | undefined
    let found: string | undefined
    for (const peer of peers) {
      const at = asked.get(this.#valueOf(endpoint, peer))
      if (at === undefined || (first !== undefined && at > first)) continue
      first = at
      found = peer
    }
    return found
  }

  /** The line of an answer that binds the visitor to an agent, with its CRLF. */
  line(endpoint: Endpoint, peer: string, isSecure: boolean): string {
    const secure = isSecure ? '; Secure' : ''
    const value = this.#valueOf(endpoint, peer)
    return `Set-Cookie: ${PREFIX}${value}; Path=/; HttpOnly; SameSite=Lax${secure}\r\n`
  }

  #valueOf(endpoint: Endpoint, peer: string): string {
    const about = `${endpointKey(endpoint)}\n${peer}`
    const known = this.#values.get(about)
    if (known !== undefined) return known
    const digest = createHash('sha256').update(`${NAME}\n${about}`).digest('base64url')
    if (this.#values.size >= MAX_VALUES) this.#values.clear()
    const value = digest.slice(0, VALUE_LENGTH)
    this.#values.set(about, value)
    return value
  }
}

/** Values that could be ours, with their places: of several, the first one counts. */
function valuesIn({ headers }: RequestHead): ReadonlyMap<string, number> {
  const values = new Map<string, number>()
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== 'cookie') continue
    for (const pair of (headers[at + 1] ?? '').split(';')) {
      const text = pair.trim()
      if (text.length !== PREFIX.length + VALUE_LENGTH || !text.startsWith(PREFIX)) continue
      const value = text.slice(PREFIX.length)
      if (!values.has(value)) values.set(value, values.size)
    }
  }
  return values
}
