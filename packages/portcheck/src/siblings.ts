// A free port may still have a neighbour: the same port held on the other IP family. Nothing fails,
// and `localhost` reaches one program in one browser and the other in the next.
import { errnoOf } from './bind-verdict.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { openServer } from './open-server.ts'
import { type Warning, warning } from './warnings.ts'

/** Warns about the loopback of the family that `endpoints` leave out, when somebody holds it. */
export async function siblingWarnings(endpoints: readonly Endpoint[]): Promise<Warning[]> {
  const sibling = siblingOf(endpoints)
  if (sibling === undefined || sibling.port === 0) return []
  try {
    const { server } = await openServer(sibling, {
      backlog: 1,
      reusePort: false,
      onConnection: (socket) => socket.destroy(),
    })
    server.close()
    return []
  } catch (error) {
    // Only a holder is worth a word: a missing family or a missing right is not.
    return errnoOf(error) === 'EADDRINUSE' ? [familySplit(sibling)] : []
  }
}

/**
 * The loopback address that `localhost` also means, when `endpoints` serve the loopback of one
 * family only. A listener on a network address shares no name with anything.
 */
export function siblingOf(endpoints: readonly Endpoint[]): Endpoint | undefined {
  const port = endpoints[0]?.port ?? 0
  const serves = (...hosts: string[]): boolean => endpoints.some((one) => hosts.includes(one.host))
  const v4 = serves('127.0.0.1', '0.0.0.0') || endpoints.some((one) => one.dual)
  const v6 = serves('::1', '::')
  if (v4 === v6) return undefined
  return { host: v4 ? '::1' : '127.0.0.1', port, dual: false }
}

function familySplit(sibling: Endpoint): Warning {
  const where = formatEndpoint(sibling)
  return warning(
    'PC101',
    `http://localhost:${sibling.port} may open another program instead of yours: it listens on ${where} or on all addresses of that family`,
    `listen on both families (localhost:${sibling.port}), or pick another port`,
    { endpoint: where },
  )
}
