import { abandonable } from '../deadline.ts'
import {
  MAX_CHALLENGE_LENGTH,
  type ParsedChallenge,
  parseChallenges,
  type ProxyAuthorize,
} from './challenge.ts'
import { answerDigest } from './digest.ts'
import type { ProxyServer } from './proxy-server.ts'

/** Most answers to challenges of one request: NTLM needs two, SPNEGO up to three. */
export const MAX_LOGIN_ROUNDS = 5

/** A request that a proxy answered with 407. */
export interface ChallengedRequest {
  readonly method: string
  /** The target of the request, exactly as sent. */
  readonly target: string
  /** Values of Proxy-Authenticate, one per line. */
  readonly lines: readonly string[]
}

/**
 * The authentication of one request at a proxy: Basic with the first request, then the answers to
 * challenges, by `proxyAuthorize` and by Digest.
 */
export class ProxyLogin {
  readonly #proxy: ProxyServer
  readonly #authorize: ProxyAuthorize | undefined
  readonly #exchange = {}
  #value: string | undefined
  #round = 0
  #connection = 0
  #answered: string | undefined

  constructor(proxy: ProxyServer, authorize: ProxyAuthorize | undefined) {
    this.#proxy = proxy
    this.#authorize = authorize
    this.#value = proxy.basicAuthorization()
  }

  /** Value of Proxy-Authorization for the next request. */
  get value(): string | undefined {
    return this.#value
  }

  /** Counts a new connection to the proxy. */
  connected(): void {
    this.#connection += 1
  }

  /** Tells whether `answer` may have an answer, so that it is worth keeping the connection. */
  get mayAnswer(): boolean {
    return this.#authorize !== undefined || this.#proxy.username !== undefined
  }

  /**
   * Makes the value for the next request. The proxy has to ask for it: after a first answer only a new
   * token, or a Digest nonce that is stale, is another question. Everything else means that the proxy
   * rejected the answer, and to repeat it could lock the account.
   * @returns false when there is no answer
   */
  async answer(request: ChallengedRequest, signal: AbortSignal): Promise<boolean> {
    const lines = request.lines.map((line) => line.slice(0, MAX_CHALLENGE_LENGTH))
    const parsed = lines.flatMap(parseChallenges)
    if (this.#round >= MAX_LOGIN_ROUNDS) return false
    if (this.#answered !== undefined && !continues(parsed, this.#answered)) return false
    this.#round += 1
    const { method, target } = request
    const value =
      (await this.#ask({ method, target, lines, parsed }, signal)) ??
      this.#digest(parsed, method, target)
    if (value === undefined) return false
    this.#value = value
    this.#answered = schemeOf(value)
    return true
  }

  async #ask(
    asked: {
      readonly method: string
      readonly target: string
      readonly lines: readonly string[]
      readonly parsed: readonly ParsedChallenge[]
    },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const authorize = this.#authorize
    if (authorize === undefined) return undefined
    const answer = await abandonable(
      Promise.resolve(
        authorize({
          proxyHost: this.#proxy.host,
          method: asked.method,
          target: asked.target,
          round: this.#round,
          connection: this.#connection,
          exchange: this.#exchange,
          challenges: asked.lines,
          schemes: schemesOf(asked.parsed),
        }),
      ),
      signal,
    )
    if (answer !== undefined && /[^\x20-\x7e]/.test(answer)) {
      throw new TypeError('proxyAuthorize must return a valid header value')
    }
    return answer
  }

  #digest(parsed: readonly ParsedChallenge[], method: string, target: string): string | undefined {
    const { username, password = '' } = this.#proxy
    // A proxy that offers Basic too has rejected these credentials already.
    if (username === undefined || parsed.some(({ scheme }) => scheme === 'basic')) return undefined
    for (const challenge of parsed) {
      const answer = answerDigest(challenge, { method, target, username, password })
      if (answer !== undefined) return answer
    }
    return undefined
  }
}

/** Returns the schemes of challenges, each once. */
export function schemesOf(parsed: readonly ParsedChallenge[]): readonly string[] {
  return [...new Set(parsed.map(({ scheme }) => scheme))]
}

/** Returns the scheme of a value of Proxy-Authorization, in lower case. */
export function schemeOf(value: string): string {
  return /^\S*/.exec(value)?.[0].toLowerCase() ?? ''
}

function continues(parsed: readonly ParsedChallenge[], scheme: string): boolean {
  return parsed.some(
    (challenge) =>
      challenge.scheme === scheme &&
      (challenge.token !== undefined ||
        challenge.parameters.get('stale')?.toLowerCase() === 'true'),
  )
}
