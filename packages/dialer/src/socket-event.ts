import type { Duplex } from 'node:stream'

/**
 * Waits until a socket emits an event. Always removes its listeners; on abort and on failure it
 * destroys the socket, so that the caller has nothing to clean up.
 * @throws the socket's own error, an Error with code ECONNRESET when it closes first, or the
 * reason of the signal
 */
export function socketEvent(socket: Duplex, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      socket.off(event, onEvent)
      socket.off('error', onError)
      socket.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
      settle()
    }
    const fail = (reason: unknown): void => {
      finish(() => reject(reason))
      // A destroyed socket can still emit an error, and no other listener is left.
      socket.on('error', ignoreError)
      socket.destroy()
    }
    const onEvent = (): void => finish(resolve)
    const onError = (error: Error): void => fail(error)
    const onClose = (): void => fail(closedEarly())
    const onAbort = (): void => fail(signal.reason)
    if (signal.aborted) {
      socket.on('error', ignoreError)
      socket.destroy()
      reject(signal.reason)
      return
    }
    socket.once(event, onEvent)
    socket.once('error', onError)
    socket.once('close', onClose)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** Error listener of a socket whose failure is noticed in another way, or does not matter. */
export function ignoreError(): void {}

/**
 * Runs a step that needs a socket, and destroys the socket when the step fails, also when the step
 * does not start because the dial was cancelled between two steps.
 */
export async function holding<T>(socket: Duplex, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    socket.on('error', ignoreError)
    socket.destroy()
    throw error
  }
}

/** Makes the error for a connection that the peer closed during a step. */
export function closedEarly(): Error {
  return Object.assign(new Error('the peer closed the connection'), { code: 'ECONNRESET' })
}
