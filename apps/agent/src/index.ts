export { Access } from './access/access.ts'
export type { AccessSettings } from './access/access-settings.ts'
export { ServiceListener } from './listeners/service-listener.ts'
