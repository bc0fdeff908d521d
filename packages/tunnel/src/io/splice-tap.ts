/**
 * Sees what crosses a `SocketSplice`, beside it: it cannot change or delay anything. Its methods run on the data
 * path, so they are short and do not throw.
 */
export interface SpliceTap {
  /** The service is connected. */
  onConnected(): void
  /** Bytes for the service; their memory is used again after the call. Also those that wait for its connection. */
  toSocket(chunk: Buffer): void
  /** Bytes of the service; their memory is used again after the call. */
  fromSocket(chunk: Buffer): void
  /** The visitor's side has ended. */
  onVisitorEnd(): void
  /** The service has ended its side. */
  onServiceEnd(): void
  /**
   * Nothing else crosses.
   *
   * @param reason - number of the reset reason, if the peer or this side gave one.
   * @param error - why it did not end well.
   */
  onClose(reason: number | undefined, error: Error | undefined): void
}
