export { Gate, type GateParts } from './gate.ts'
export { GatedService, type GatedServiceOptions } from './gated-service.ts'
export { judgeAll } from './judge-all.ts'
export type { Admission, Refusal, Verdict, VisitorRequest } from './verdict.ts'
export { REFUSAL_CODES, type RefusalCode } from './refusals.ts'
export {
  type BasicAuthUser,
  MAX_BLOCKS,
  MAX_USERS,
  parsePolicy,
  type VisitorPolicy,
} from './policy.ts'
export type { JwksDemand, JwtDemand } from './jwt-demand.ts'
export { checkCredentials, hashPassword } from './password.ts'
export {
  policyOf,
  VISITOR_SETTINGS,
  visitorProblems,
  type VisitorSettings,
} from './visitor-settings.ts'
export { PasswordChecks, type PasswordCheckOptions } from './password-checks.ts'
export { FailureLimits, type FailureLimitOptions } from './failure-limits.ts'
export { clientAddress } from './client-address.ts'
export { isVisitorsError, VISITORS_ERRORS, VisitorsError } from './errors.ts'
export type { VisitorsErrorCode, VisitorsErrorInfo } from './errors.ts'
