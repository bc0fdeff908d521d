import { randomBytes, randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Logger } from '@proj/tunnel'

/** Which server a process is. */
export interface NodeIdentity {
  /** Names the server, also after a restart. */
  readonly id: string
  /** Names this process: random for each start. */
  readonly boot: string
}

/** What the id is made of. */
export interface NodeIdentityOptions {
  /** The id that is configured. Default: one that is made. */
  readonly nodeId?: string | undefined
  /** Beginning of an id that is made. Default: none. */
  readonly nodeIdPrefix?: string | undefined
  /** Where an id that was made is kept; undefined: nothing is kept. */
  readonly directory: string | undefined
  /** Told when an id cannot be kept. */
  readonly logger: Logger
}

/** File of the data directory with the id that was made. */
export const NODE_ID_FILE = 'node-id'

/** Characters of an id that is made, as many as in Piko's. */
const LENGTH = 7
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** Ids that are written by this program or by hand. */
const GRAMMAR = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** The identity of this process: the id that is configured, else the one in the data directory, else a new one. */
export function nodeIdentity(options: NodeIdentityOptions): NodeIdentity {
  const { nodeId, nodeIdPrefix = '', directory, logger } = options
  const boot = randomBytes(8).toString('hex')
  if (nodeId !== undefined) return { id: nodeId, boot }
  const file = directory === undefined ? undefined : join(directory, NODE_ID_FILE)
  const kept = file === undefined ? undefined : readKept(file, nodeIdPrefix)
  if (kept !== undefined) return { id: kept, boot }
  const id = nodeIdPrefix + Array.from({ length: LENGTH }, () => ALPHABET[randomInt(36)]).join('')
  if (file !== undefined) {
    try {
      writeFileSync(file, `${id}\n`, { mode: 0o600 })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      logger.warn(
        { why, hint: 'set cluster.node_id' },
        'the node id is not kept: the next start makes a new one',
      )
    }
  }
  return { id, boot }
}

/** The id of an earlier start; undefined when there is none, or one with another prefix. */
function readKept(file: string, prefix: string): string | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
  return GRAMMAR.test(text) && text.startsWith(prefix) ? text : undefined
}
