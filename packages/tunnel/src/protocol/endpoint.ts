import { TunnelError } from '../errors.ts'

/** An endpoint as a server knows it: the same name in two tenants is two endpoints. */
export interface Endpoint {
  /** Tenant whose endpoint it is; '' on servers without tenants, and beside them. */
  readonly tenant: string
  /** Name that its visitors address. */
  readonly name: string
}

/** An endpoint as pages and logs show it: its name, behind its tenant where it has one. */
export function endpointText({ tenant, name }: Endpoint): string {
  return tenant === '' ? name : `${tenant}/${name}`
}

/** A key for maps: no name of one tenant can pose as that of another. */
export function endpointKey({ tenant, name }: Endpoint): string {
  return JSON.stringify([tenant, name])
}

const HOST_LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/**
 * Whether visitors can address an endpoint by host name: its name is one label in lower case (RFC 1123
 * section 2.1, and `_`). Every other name needs the header `x-piko-endpoint`.
 */
export function isHostLabel(name: string): boolean {
  return HOST_LABEL.test(name)
}

/** Longest endpoint name: a DNS name's limit, far longer than names that people type. */
export const MAX_ENDPOINT_BYTES = 253

/**
 * Checks an endpoint name for our own agents: what can stand in one path segment and, for `http`, as
 * a host label. Piko itself takes any non-empty segment, so a server accepts more than this.
 *
 * @returns the name.
 * @throws {TunnelError} TUNNEL_ENDPOINT_INVALID with the reason.
 */
export function checkEndpointName(name: string): string {
  const problem =
    name === ''
      ? 'is empty'
      : name.includes('/')
        ? 'contains a slash'
        : Buffer.byteLength(name) > MAX_ENDPOINT_BYTES
          ? `is longer than ${MAX_ENDPOINT_BYTES} bytes`
          : // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
            /[\u0000-\u0020\u007f]/.test(name)
            ? 'contains a space or control character'
            : undefined
  if (problem !== undefined) {
    throw new TunnelError('TUNNEL_ENDPOINT_INVALID', `endpoint ${JSON.stringify(name)} ${problem}`)
  }
  return name
}
