import type { LoadedSettings } from '@proj/config'
import type { Logger } from '@proj/tunnel'

import type { ServerTree } from './settings.ts'

/** A server that is alone uses them too: they name it. */
const USED_ALONE: ReadonlySet<string> = new Set(['cluster.node_id', 'cluster.node_id_prefix'])

/** Warns, in one line, of settings for clusters that are configured at a server that is alone. */
export function warnOfUnusedSettings(
  { settings, values }: Pick<LoadedSettings<ServerTree>, 'settings' | 'values'>,
  logger: Logger,
): void {
  if (settings.cluster.databaseUrl !== undefined) return
  const unused = values
    .filter(({ key, origin }) => origin.kind !== 'default' && isForCluster(key))
    .map(({ key }) => key)
  if (unused.length === 0) return
  logger.warn(
    { settings: unused, hint: 'set cluster.database_url, or remove them' },
    'settings without effect: this server is not in a cluster',
  )
}

function isForCluster(key: string): boolean {
  if (key.startsWith('upstream.rebalance.')) return true
  return key.startsWith('cluster.') && !USED_ALONE.has(key)
}
