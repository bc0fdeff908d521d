import { randomBytes } from 'node:crypto'

import type { RequestHead } from '@proj/http1'

/** What is taken over from a proxy of one's own: any usual identifier, and nothing that could hurt a log. */
const FORM = /^[\w.:+/=@-]{1,128}$/

/**
 * Names requests for logs. A random start tells servers and their lives apart, a counter the requests; the
 * name is no secret and nobody may take it for one.
 */
export class RequestIds {
  readonly #start = randomBytes(6).toString('hex')
  #count = 0

  /** The name of a request: what a trusted proxy called it, or a new one. */
  of(head: RequestHead, trustedHops: number): string {
    const given = trustedHops > 0 ? head.header('x-request-id') : undefined
    if (given !== undefined && FORM.test(given)) return given
    this.#count += 1
    return `${this.#start}-${this.#count.toString(36)}`
  }
}
