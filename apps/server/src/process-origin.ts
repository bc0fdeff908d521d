import type { InheritedSocket, InheritedSockets } from '@proj/portcheck'
import type { ProcessOrigin as Origin, WorkerParent } from '@proj/program-kit'

/** What the process has from its start. */
export interface ProcessOrigin extends Origin<InheritedSocket> {
  /** Its parent, where it is one of several workers. */
  readonly worker?: WorkerParent<InheritedSocket> | undefined
  /** Listening sockets of another process; those that are not wanted are closed. */
  readonly inherited: InheritedSockets
}
