import type { ExchangeKind } from '@proj/pages'

import type { Exchange } from './exchange.ts'
import type { ExchangeStore } from './exchange-store.ts'

/** What a tap works with. */
export interface TapParts {
  readonly store: Pick<ExchangeStore, 'charge' | 'touch'>
  readonly visitor: string | undefined
  readonly requestId: string | undefined
  readonly rttMs: () => number | undefined
  /** Whether anything is captured now; else nothing is read. */
  readonly isOn: boolean
  /** Whether messages of a WebSocket and events are read one by one. */
  readonly keepsMessages: boolean
  /** Begins an exchange; undefined: it is not captured. */
  begin(kind: ExchangeKind): Exchange | undefined
  /** The service has begun to answer. */
  onAnswer(exchange: Exchange): void
  /** The service did not answer. */
  onFailed(code: string): void
  finish(exchange: Exchange, state: 'done' | 'failed'): void
}
