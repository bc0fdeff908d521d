// A PostgreSQL for the tests of one file, and what servers of a cluster keep in it.
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { CLUSTER_FILE, openClusterStore } from '../../src/store/cluster-store.ts'
import type { OwnStore } from '../../src/store/server-store.ts'
import type { ReservationLimits } from '../../src/store/reservation-store.ts'

/** What a node of a test is started with. */
export interface NodeOptions {
  readonly url: string
  /** Its data directory. Default: a new one. */
  readonly directory?: string
  readonly limits?: ReservationLimits
  readonly staleAfterMs?: number
}

/** The store of a server in a cluster. */
export interface StoreNode {
  readonly own: OwnStore
  readonly store: OwnStore['store']
  readonly logger: RecordingLogger
  readonly directory: string
  /** File of its copy. */
  readonly copy: string
  /** Closes it, as a server that stops. */
  stop(): Promise<void>
}

/** Opens the store of one server, until the test ends. */
export async function storeNode({
  directory = freshDirectory(),
  staleAfterMs = 900_000,
  ...options
}: NodeOptions): Promise<StoreNode> {
  const logger = new RecordingLogger()
  const own = await openClusterStore({
    ...options,
    staleAfterMs,
    dataDir: directory,
    env: {},
    logger,
  })
  const stop = async (): Promise<void> => await own[Symbol.asyncDispose]()
  onTestFinished(() => own[Symbol.dispose]())
  return { own, store: own.store, logger, directory, copy: join(directory, CLUSTER_FILE), stop }
}

/** A directory of the running test. */
export function freshDirectory(): string {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return directory.path
}
