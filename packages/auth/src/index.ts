// --- opaque tokens
export {
  createToken,
  hashToken,
  isOpaqueToken,
  isSameSecret,
  type OpaqueToken,
  parseToken,
} from './tokens/opaque-token.ts'

// --- credentials of a peer
export { abortAt } from './tokens/abort-at.ts'
export { bearerToken, MAX_TOKEN_BYTES } from './tokens/bearer-token.ts'
export type { Headers } from './tokens/bearer-token.ts'

// --- JWTs
export type { JwtRights } from './jwt/jwt-claims.ts'
export { type JwksDemand, type JwtDemand, jwtVerifierOf } from './jwt/jwt-demand.ts'
export {
  hasJwtKeys,
  JWT_SETTINGS,
  jwtDemand,
  jwtProblems,
  type JwtSettings,
  PIKO_JWT_SETTINGS,
} from './jwt/jwt-settings.ts'
export { JwtVerifier } from './jwt/jwt-verifier.ts'
export type { JwtVerifierOptions, VerifiedJwt } from './jwt/jwt-verifier.ts'
export { KeySet, MAX_KEY_SET_BYTES, MAX_KEYS, RETRY_MS, UNKNOWN_KEY_MS } from './jwt/key-set.ts'
export type { KeySetOptions } from './jwt/key-set.ts'
export type { StaticKeyOptions } from './jwt/static-keys.ts'

// --- rights
export {
  matchesPattern,
  MAX_PATTERN_BYTES,
  MAX_PATTERNS,
  patternProblem,
} from './rights/endpoint-patterns.ts'
export { describeScope, type Right, RIGHTS, type Scope, scopePermits } from './rights/scope.ts'

// --- limits per source
export { sourceOf } from '@proj/config/address'
export { ENDPOINT_LIMIT_SETTINGS, limitProblems } from './limits/endpoint-limit-settings.ts'
export { SourceLimiter, VISITOR_FAILURES } from './limits/source-limiter.ts'
export type { SourceLimiterOptions } from './limits/source-limiter.ts'

// --- errors
export { AUTH_ERRORS, AuthError, isAuthError } from './errors.ts'
export type { AuthErrorCode, AuthErrorInfo } from './errors.ts'

// --- visitors of an endpoint
export { Gate, type GateParts, judgeAll } from './visitors/gate.ts'
export { DENIAL_CODES, type DenialCode } from './visitors/decision.ts'
export type { Admission, Decision, Denial, VisitorRequest } from './visitors/decision.ts'
export {
  type BasicAuthUser,
  MAX_BLOCKS,
  MAX_USERS,
  parsePolicy,
  type VisitorPolicy,
} from './visitors/policy.ts'
export { checkCredentials, hashPassword } from './visitors/password.ts'
export {
  policyOf,
  VISITOR_SETTINGS,
  visitorProblems,
  type VisitorSettings,
} from './visitors/visitor-settings.ts'
export { PasswordChecks, type PasswordCheckOptions } from './visitors/password-checks.ts'
export { clientAddress, countTrustedHops } from './visitors/client-address.ts'
