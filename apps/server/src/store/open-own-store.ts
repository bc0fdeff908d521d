import type { Resolved } from '@proj/config'

import type { ServerTree } from '../settings.ts'
import { openClusterStore } from './cluster-store.ts'
import { openStoreOrNone, type OwnStore, type ServerStoreOptions } from './server-store.ts'

/** What the server remembers: in its file, or in the database of its cluster with a copy in the data directory. */
export async function openOwnStore(
  {
    dataDir,
    names: limits,
    domainProof: domainLimits,
    cluster: { databaseUrl, staleAfterMs },
  }: Resolved<ServerTree>,
  around: Pick<ServerStoreOptions, 'env' | 'logger'>,
): Promise<OwnStore> {
  const options = { ...around, dataDir, limits, domainLimits }
  if (databaseUrl === undefined) return openStoreOrNone(options)
  return await openClusterStore({ ...options, url: databaseUrl.reveal(), staleAfterMs })
}
