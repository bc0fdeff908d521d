import { availableParallelism } from 'node:os'

import { ConfigError, type RuleProblem, type ScalarType, setting } from '@proj/config'

/** Most workers of one server. */
const MAX_WORKERS = 64

const ALLOWED = `auto, or a whole number from 1 to ${MAX_WORKERS}`

/** The setting `workers`. */
export const WORKERS_SETTING = setting(workers(), {
  default: '1',
  description:
    'Processes that carry visitors, on the same ports; auto: one for each core. See docs/operations.md.',
})

/** How many processes carry visitors; 1: this one alone. */
export function workerCount(
  workers: number | 'auto',
  cores: number = availableParallelism(),
): number {
  return workers === 'auto' ? Math.min(MAX_WORKERS, cores) : workers
}

/** What cannot be had together with workers. */
interface Others {
  readonly workers: number | 'auto'
  readonly cluster: { readonly databaseUrl: unknown }
  readonly publicPorts: { readonly range: readonly unknown[] }
}

/** A rule for `defineSettings`: settings that one process has to have alone. */
export function* workersFit({ workers, cluster, publicPorts }: Others): Generator<RuleProblem> {
  if (workerCount(workers) === 1) return
  const key = 'workers'
  const code = 'WORKERS_NOT_POSSIBLE'
  const hint = 'set workers to 1'
  if (cluster.databaseUrl !== undefined) {
    const message = 'a server with several workers cannot have cluster.database_url'
    yield { key, code, message, hint: `${hint}, and run several nodes on this machine instead` }
  }
  if (publicPorts.range.length > 0) {
    const message = 'a server with several workers cannot have public_ports.range'
    yield { key, code, message, hint: `${hint}, or leave public_ports.range out` }
  }
}

function workers(): ScalarType<number | 'auto'> {
  return {
    kind: 'scalar',
    name: 'number|auto',
    allowed: ALLOWED,
    schema: { anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 1, maximum: MAX_WORKERS }] },
    completes: ['auto'],
    parse: (text) => {
      if (text === 'auto') return text
      const count = /^[1-9]\d?$/.test(text) ? Number(text) : Infinity
      if (count <= MAX_WORKERS) return count
      throw new ConfigError('CONFIG_VALUE_INVALID', `${JSON.stringify(text)} is not ${ALLOWED}`)
    },
    format: String,
  }
}
