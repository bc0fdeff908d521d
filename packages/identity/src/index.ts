// --- tokens of one's own
export {
  createToken,
  hashToken,
  isOpaqueToken,
  type OpaqueToken,
  parseToken,
} from './opaque-token.ts'
export { isSameSecret } from './same-secret.ts'

// --- JWTs
export { bearerToken, MAX_TOKEN_BYTES } from './bearer-token.ts'
export type { Headers } from './bearer-token.ts'
export type { JwtRights } from './jwt-claims.ts'
export { JwtVerifier } from './jwt-verifier.ts'
export type { JwtVerifierOptions, VerifiedJwt } from './jwt-verifier.ts'
export { KeySet, MAX_KEYS, RETRY_MS, UNKNOWN_KEY_MS } from './key-set.ts'
export type { KeySetOptions } from './key-set.ts'
export { MAX_KEY_SET_BYTES } from './read-bounded.ts'
export type { StaticKeyOptions } from './static-keys.ts'

// --- what they are good for
export {
  matchesPattern,
  MAX_PATTERN_BYTES,
  MAX_PATTERNS,
  patternProblem,
} from './endpoint-patterns.ts'
export { type Right, RIGHTS, type Scope, scopePermits } from './scope.ts'
export { abortAt } from './abort-at.ts'

// --- strangers
export { SourceLimiter, sourceOf } from './source-limiter.ts'
export type { SourceLimiterOptions } from './source-limiter.ts'

// --- errors
export { IDENTITY_ERRORS, IdentityError, isIdentityError } from './errors.ts'
export type { IdentityErrorCode, IdentityErrorInfo } from './errors.ts'
