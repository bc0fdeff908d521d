export { Access } from './access.ts'
export type { AccessSettings } from './access-settings.ts'
export { Offer } from './offer.ts'
