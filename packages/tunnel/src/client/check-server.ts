import { isTunnelError } from '../errors.ts'
import { routeTo, SESSION_ENDPOINT, UPSTREAM_ROUTE } from '../protocol/routes.ts'
import { requestPipe } from './handshake-request.ts'
import type { ServerAt } from './server-options.ts'

/**
 * Tries whether a server accepts an agent with these options: makes one session and ends it. No endpoint is
 * registered. A token that is for some endpoints only is accepted too.
 *
 * @returns the protocol that the server speaks.
 * @throws {TunnelError} TUNNEL_UNAUTHORIZED, TUNNEL_WRONG_PORT, TUNNEL_UPGRADE_REFUSED.
 * @throws {DialError} when there was no answer, or one that asks to come back soon.
 */
export async function checkServer(
  server: ServerAt,
  { signal }: { readonly signal: AbortSignal },
): Promise<'adit' | 'piko'> {
  try {
    const { pipe, protocol } = await requestPipe(
      server,
      routeTo(UPSTREAM_ROUTE, SESSION_ENDPOINT),
      signal,
    )
    pipe.on('error', () => {})
    pipe.destroy()
    return protocol
  } catch (error) {
    // The server knows the token: it denies this one name, which is of the protocol.
    if (isTunnelError(error, 'TUNNEL_UNAUTHORIZED') && error.isOfEndpoint) return 'adit'
    throw error
  }
}
