import type { Duplex } from 'node:stream'

/**
 * Waits until a socket emits an event. Takes its listeners off on every path; on abort and on
 * failure the socket is destroyed, so that a caller has nothing left to clean up.
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
      // A socket that is going away may still report something; nobody is left to hear it.
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

/** Listener for a socket whose failure shows in another way, or not at all any more. */
export function ignoreError(): void {}

/**
 * Runs a step that needs a socket, and destroys the socket when the step fails, also when it could
 * not even begin because the dial was cancelled between two steps.
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

/** Makes the error for a connection that the peer ended in the middle of a step. */
export function closedEarly(): Error {
  return Object.assign(new Error('the peer closed the connection'), { code: 'ECONNRESET' })
}
