import type { GatheredWrites } from '@proj/tunnel/io'

import type { CarrierStream } from './carrier-stream.ts'
import type { EdgeAnswer } from './edge-answer.ts'

/** What an exchange needs of the visitor's connection it runs on. */
export interface ExchangeVisitor {
  /** Sends bytes; false when the visitor has to catch up, `Exchange.onVisitorDrain` follows. */
  write(bytes: Buffer): boolean
  /** What `write` goes through. */
  readonly writes: GatheredWrites
  /** Stops and resumes reading the request. */
  pause(): void
  resume(): void
  /** Sets how long nothing may happen from now on, ms. */
  expectWithin(ms: number): void
  /** The exchange is over: the answer is complete and so is the request. */
  done(keepAlive: boolean): void
  /** The answer is complete, the request is not and nobody wants its rest. */
  linger(): void
  /** The status of the answer is known. */
  answered(status: number): void
  /** Nothing was answered: answer this and close. */
  fail(answer: EdgeAnswer): void
  /** The answer broke off. `reset` when only a reset tells that from a clean end. */
  breakOff(reset: boolean): void
  /** The service switched protocols: the stream and the socket are one pipe now. */
  upgrade(stream: CarrierStream, rest: Buffer): void
}
