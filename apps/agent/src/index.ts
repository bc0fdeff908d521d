export { Access } from './access.ts'
export type { AccessSettings } from './access.ts'
export { offer } from './offer.ts'
