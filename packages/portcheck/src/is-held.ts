// Whether somebody else has a socket, found by trying to have it.
import { errnoOf } from './bind-verdict.ts'
import type { Endpoint } from './endpoint.ts'
import { openServer } from './open-server.ts'

/** Whether a bind of `endpoint` without any sharing collides with a socket that exists. */
export async function isHeld(endpoint: Endpoint): Promise<boolean> {
  try {
    const { server } = await openServer(endpoint, {
      backlog: 1,
      reusePort: false,
      onConnection: (socket) => socket.destroy(),
    })
    server.close()
    return false
  } catch (error) {
    // A missing family or a missing right is nobody's socket.
    return errnoOf(error) === 'EADDRINUSE'
  }
}
