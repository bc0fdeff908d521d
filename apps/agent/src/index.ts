export { Access } from './access.ts'
export type { AccessSettings } from './open-accesses.ts'
export { offer } from './offer.ts'
