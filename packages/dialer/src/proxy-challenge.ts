import type { ReplyHead } from './reply-head.ts'

/** A 407 of an HTTP proxy. */
export interface ProxyChallenge {
  /** Host of the proxy as configured; a Kerberos service name is built from it. */
  readonly proxyHost: string
  /** Values of Proxy-Authenticate, one per challenge line. */
  readonly challenges: readonly string[]
  /** Schemes offered, in lower case, such as `basic` or `negotiate`. */
  readonly schemes: readonly string[]
}

/**
 * Answers a challenge with a value for Proxy-Authorization, or undefined to give up. What it throws
 * ends the dial.
 */
export type ProxyAuthorize = (
  challenge: ProxyChallenge,
) => string | undefined | Promise<string | undefined>

/** Reads the challenges of a 407 (RFC 9110 section 11.6.1). */
export function readChallenge(head: ReplyHead, proxyHost: string): ProxyChallenge {
  const challenges = (head.fields.get('proxy-authenticate') ?? []).map((line) =>
    line.slice(0, 4096),
  )
  // A line may hold several challenges; a scheme is a token in front of a space or alone, while a
  // parameter has its "=" right behind its name.
  const schemes = challenges.flatMap((line) =>
    Array.from(
      line.matchAll(/(?:^|,)\s*([A-Za-z][\w-]*)(?=\s+[^\s=]|\s*,|\s*$)/g),
      (match) => match[1]?.toLowerCase() ?? '',
    ),
  )
  return { proxyHost, challenges, schemes: [...new Set(schemes)] }
}
