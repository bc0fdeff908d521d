// The challenges in a 407, and the syntax they have in Proxy-Authenticate (RFC 9110 section 11.6.1).

/** The challenges in a 407 of an HTTP proxy. */
export interface ProxyChallenge {
  /** Host of the proxy as in the options; a Kerberos service name contains it. */
  readonly proxyHost: string
  /** Method of the request that the proxy answered: `CONNECT`, or that of a request without a tunnel. */
  readonly method: string
  /** Target of this request: `host:port` with CONNECT, the absolute URL without a tunnel. */
  readonly target: string
  /**
   * Number of the answer, from 1. A second round is asked for when the proxy continues an exchange of
   * several messages, as NTLM does.
   */
  readonly round: number
  /**
   * Number of the connection to the proxy, from 1. NTLM authenticates a connection: an exchange must
   * start again when the number changes.
   */
  readonly connection: number
  /** The same object in every round of one request: the key of a WeakMap for the state of a plug-in. */
  readonly exchange: object
  /** Values of Proxy-Authenticate, one per line of the response. */
  readonly challenges: readonly string[]
  /** Schemes offered, in lower case, such as `basic` or `negotiate`. */
  readonly schemes: readonly string[]
}

/**
 * Answers a challenge with a value for Proxy-Authorization, or with undefined, which fails the dial,
 * unless the proxy has credentials and offers Digest. An error it throws fails the dial too.
 */
export type ProxyAuthorize = (
  challenge: ProxyChallenge,
) => string | undefined | Promise<string | undefined>

/** One challenge of a response. */
export interface ParsedChallenge {
  /** In lower case. */
  readonly scheme: string
  /** The token after the scheme, as NTLM and Negotiate have it. */
  readonly token: string | undefined
  /** Parameters by lower-case name, without quotes. */
  readonly parameters: ReadonlyMap<string, string>
}

/** Longest line of Proxy-Authenticate that is read; Kerberos tokens are the longest. */
export const MAX_CHALLENGE_LENGTH: number = 12 * 1024

// A token of RFC 9110 section 5.6.2; a token68 of section 11.2; a quoted string of section 5.6.4.
const TOKEN = /[!#$%&'*+\-.^_`|~\w]+/y
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y
const PARAMETER =
  /([!#$%&'*+\-.^_`|~\w]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+\-.^_`|~\w/=:]*))/y
const BLANKS = /[\s,]*/y

/** Reads the challenges of one line. Stops at the first byte that does not fit the syntax. */
export function parseChallenges(line: string): readonly ParsedChallenge[] {
  const found: ParsedChallenge[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const match = pattern.exec(line)
    if (match === null) return undefined
    at = pattern.lastIndex
    return match
  }
  take(BLANKS)
  for (;;) {
    const scheme = take(TOKEN)?.[0]
    if (scheme === undefined) return found
    const parameters = new Map<string, string>()
    const blank = /\s/.test(line[at] ?? '')
    take(/\s*/y)
    const token = blank ? take(TOKEN68)?.[0] : undefined
    found.push({ scheme: scheme.toLowerCase(), token, parameters })
    if (token === undefined && blank) {
      for (;;) {
        const match = take(PARAMETER)
        if (match === undefined) break
        const [, name = '', quoted, plain = ''] = match
        parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain)
        take(BLANKS)
      }
    }
    take(BLANKS)
  }
}
