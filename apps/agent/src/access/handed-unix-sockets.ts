import {
  type InheritedSocket,
  type InheritedUnixSocket,
  removeInheritedUnix,
} from '@proj/portcheck'

/** A listening socket that an agent hands its successor. */
export type HandedAgentSocket = InheritedSocket | InheritedUnixSocket

/** Whether a socket is a unix socket. */
export function isHandedUnix(socket: HandedAgentSocket): socket is InheritedUnixSocket {
  return 'path' in socket
}

/** The unix sockets of the process that this one replaces, for local addresses with the same path. */
export class HandedUnixSockets {
  readonly #free = new Map<string, InheritedUnixSocket>()

  constructor(sockets: readonly HandedAgentSocket[] = []) {
    for (const socket of sockets) if (isHandedUnix(socket)) this.#free.set(socket.path, socket)
  }

  /** Takes the socket of a path, if there is one. */
  take(path: string): InheritedUnixSocket | undefined {
    const socket = this.#free.get(path)
    this.#free.delete(path)
    return socket
  }

  /**
   * Closes those that no address uses, and removes their files. Only when this process has taken over: until
   * then the other one may go on to serve them.
   *
   * @returns their paths.
   */
  removeUnused(): string[] {
    const paths = [...this.#free.keys()]
    for (const socket of this.#free.values()) removeInheritedUnix(socket)
    this.#free.clear()
    return paths
  }
}
