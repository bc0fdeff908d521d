export {
  matchesPattern,
  MAX_PATTERN_BYTES,
  MAX_PATTERNS,
  patternProblem,
} from './endpoint-patterns.ts'
export {
  createToken,
  hashToken,
  isOpaqueToken,
  type OpaqueToken,
  parseToken,
} from './opaque-token.ts'
export { isSameSecret } from './same-secret.ts'
export { type Right, RIGHTS, type Scope, scopePermits } from './scope.ts'
