import { randomBytes } from 'node:crypto'

import type { RequestHead } from '@proj/http1'

/** Identifiers that are accepted from a trusted proxy: any usual one, and no characters that could break a log. */
const FORM = /^[\w.:+/=@-]{1,128}$/

/**
 * Identifiers of requests, for logs: a random part per server process and a counter. They are not secret and
 * must not be used as if they were.
 */
export class RequestIds {
  readonly #start = randomBytes(6).toString('hex')
  #count = 0

  /** The identifier of a request: that of a trusted proxy, or a new one. */
  of(head: RequestHead, trustedHops: number): string {
    const given = trustedHops > 0 ? head.header('x-request-id') : undefined
    if (given !== undefined && FORM.test(given)) return given
    this.#count += 1
    return `${this.#start}-${this.#count.toString(36)}`
  }
}
