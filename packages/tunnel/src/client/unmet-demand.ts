import { TunnelError } from '../errors.ts'
import type { Listener } from './listener.ts'

/**
 * What a listener cannot do without and a server does not promise in its answer: one that does not know
 * the demand passes over it, and registers the endpoint all the same.
 *
 * @param answer - the fields of `registered` that confirm demands; none on the baseline wire.
 */
export function unmetDemand(
  { endpoint, visitors, publicPort }: Pick<Listener, 'endpoint' | 'visitors' | 'publicPort'>,
  answer: { readonly visitors?: true; readonly port?: number },
): TunnelError | undefined {
  const name = JSON.stringify(endpoint)
  if (visitors !== undefined && answer.visitors !== true) {
    return new TunnelError(
      'TUNNEL_VISITORS_UNSUPPORTED',
      `the server does not enforce rules for visitors, so ${name} is not served`,
    )
  }
  if (publicPort !== undefined && answer.port === undefined) {
    return new TunnelError(
      'TUNNEL_PORT_UNSUPPORTED',
      `the server does not know of public ports, so ${name} is not served`,
    )
  }
  return undefined
}
