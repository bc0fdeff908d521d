import { underSignals } from '../abortable.ts'
import type { DialSession } from './dial-session.ts'
import type { SpreadLink } from './server-spread.ts'

/**
 * Time the servers have to say whether an agent serves an endpoint, ms; then a connection goes to one that
 * has answered, or else to the first.
 */
const ASK_MS = 1_000

/** One kept connection of a consumer. */
export class ConsumerLink implements SpreadLink<DialSession> {
  /** Number of the connection; connections begin at different servers. */
  readonly position: number
  /** What is used now. */
  current: DialSession | 'piko' | undefined
  /** Base URL of the server that is tried, or was reached last. */
  target: string | undefined
  /** Made already, to take the place of the current one. */
  next: DialSession | undefined

  constructor(position: number) {
    this.position = position
  }

  /** @inheritdoc */
  get session(): DialSession | undefined {
    return this.current === 'piko' || this.current?.isLeft === true ? undefined : this.current
  }

  /** @inheritdoc */
  replace(session: DialSession): void {
    const { session: current } = this
    if (current === undefined) {
      session.destroy()
      return
    }
    this.next = session
    this.target = session.url
    current.replaced()
  }
}

/**
 * The session whose server is first to say that an agent serves the endpoint: one that is frozen says
 * nothing. When none says so, the first that has answered; after ASK_MS without any answer, the first.
 */
export async function firstServing(
  sessions: readonly DialSession[],
  endpoint: string,
  signal: AbortSignal,
): Promise<DialSession> {
  const enough = new AbortController()
  const timer = setTimeout(() => enough.abort(), ASK_MS)
  let answered: DialSession | undefined
  try {
    return await underSignals([signal, enough.signal], async (either) => {
      return await Promise.any(
        sessions.map(async (session) => {
          const state = await session.query(endpoint, either)
          if (state !== undefined) answered ??= session
          if (state === undefined || state.upstreams === 0) {
            throw new Error('it is not served there')
          }
          return session
        }),
      )
    })
  } catch {
    signal.throwIfAborted()
    return answered ?? (sessions[0] as DialSession)
  } finally {
    clearTimeout(timer)
    enough.abort() // the other servers are not waited for
  }
}
