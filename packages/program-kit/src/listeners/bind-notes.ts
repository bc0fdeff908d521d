/**
 * What start-up says about the ports it opened: other programs that would get some of the clients,
 * families that are missing, and, after connecting once to each address, whether the connections
 * arrive here. Every note has a stable code of portcheck.
 */
import { escapeLines } from '@proj/config'
import { parseListenAddress } from '@proj/config/address'

/** A warning about a port that was opened. */
export interface BindNote {
  /** Stable code, such as `PC101`. */
  readonly code: string
  /** The effect in one sentence. */
  readonly text: string
  /** One thing to do. */
  readonly hint: string
  /** Address it is about. */
  readonly endpoint?: string
}

/** What is read of the listeners of `@proj/portcheck`. */
export interface NotedListeners<Note extends BindNote> {
  /** One entry per address that was given. */
  readonly bound: readonly {
    readonly want: string
    readonly port: number
    readonly warnings: readonly Note[]
  }[]
  /** Connects to every address. */
  verify(): Promise<{ readonly warnings: readonly Note[] }>
}

/** Collects the notes about listeners, without repetitions. It connects to them. */
export async function bindNotes<Note extends BindNote>(
  listeners: NotedListeners<Note>,
): Promise<Note[]> {
  const { warnings } = await listeners.verify()
  const notes = [...listeners.bound.flatMap((bound) => bound.warnings), ...warnings]
  const about = ({ code, endpoint }: Note): string => `${code} ${endpoint}`
  return notes.filter((note, at) => notes.findIndex((one) => about(one) === about(note)) === at)
}

/** Writes notes as text. */
export function formatBindNotes(notes: readonly BindNote[]): string {
  return notes
    .map(({ code, text, hint }) => escapeLines(`warning: ${text} (${code})\n  ${hint}\n`))
    .join('')
}

/** An address whose port was taken, and the port it has instead. */
export interface MovedBind {
  /** The address as it was written. */
  readonly wanted: string
  /** The port it got. */
  readonly port: number
}

/** Finds the addresses that on-conflict=next has moved. */
export function movedBinds({ bound }: Pick<NotedListeners<BindNote>, 'bound'>): MovedBind[] {
  return bound.flatMap(({ want, port }) => {
    const address = parseListenAddress(want)
    const isMoved = address.kind === 'tcp' && address.port !== 0 && address.port !== port
    return isMoved ? [{ wanted: want, port }] : []
  })
}
