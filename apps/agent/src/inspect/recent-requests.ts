import type { RecentRequest } from '@proj/program-kit'

import type { Exchange } from './exchange.ts'
import { rowOf } from './exchange-rows.ts'
import type { ExchangeStore } from './exchange-store.ts'
import type { Secrets } from './secrets.ts'

/** The last requests of visitors, the newest first, for the live view and `adit status`. */
export function recentRequests(
  store: Pick<ExchangeStore, 'all'>,
  secrets: Secrets,
  most: number,
): RecentRequest[] {
  return store
    .all()
    .filter(({ replayOf, imported }) => replayOf === undefined && !imported)
    .slice(-most)
    .toReversed()
    .map((exchange) => recentOf(exchange, secrets))
}

function recentOf(exchange: Exchange, secrets: Secrets): RecentRequest {
  const { startedAt, endpoint, kind, method, target, visitor, status, code, totalMs } = rowOf(
    exchange,
    secrets,
  )
  const isOver = exchange.state !== 'open'
  return {
    at: startedAt,
    endpoint,
    method,
    target: kind === 'tcp' ? (visitor ?? '') : target,
    ...(status !== undefined && { status }),
    ...(code !== undefined && { code }),
    ...(isOver && totalMs !== undefined && { totalMs }),
  }
}
