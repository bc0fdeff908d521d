export { Access } from './access/access.ts'
export type { AccessSettings } from './access/access-settings.ts'
export { Offer } from './listeners/offer.ts'
