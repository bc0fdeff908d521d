import { randomUUID } from 'node:crypto'

import { isAgentList } from '@proj/tunnel/server'

import { ClusterError } from '../errors.ts'
import type { ClusterNode, RouteFacts } from '../model.ts'
import {
  type ChangesPage,
  type ChangesQuery,
  type Engine,
  type EngineCallOptions,
  type JoinAnswer,
  type JoinRequest,
  MAX_EPOCH,
  MAX_NODES,
  MAX_RULES_BYTES,
  type NodeState,
  type PutAnswer,
  type RouteChange,
  type SweepRequest,
  type WriteAnswer,
  type WriteBatch,
} from './engine.ts'
import { PostgresConnection, type SqlRow } from './postgres-connection.ts'
import { CLUSTER_SCHEMA, migrateSchema } from './postgres-schema.ts'
import { joinText, leaveText, sweepText, writeText } from './postgres-statements.ts'

/** Options of a {@link PostgresEngine}. */
export interface PostgresEngineOptions {
  /** `postgres://user:password@host:port/database`, with the parameters of libpq that `pg` knows. */
  readonly url: string
  /** Longest time for one answer, connecting included, ms; then the connection is made again. Default: 10000, range 100 to 600000. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = { default: 10_000, min: 100, max: 600_000 }

const CHANNEL = 'adit_cluster'

/** A change as the database sends it; of a removal the facts are null. */
type StoredChange = readonly [
  tenant: string,
  name: string,
  version: number,
  isGone: boolean,
  epoch: number,
  identity: string,
  kind: string | null,
  sessions: number,
  exclusive: boolean,
  peer: string | null,
  reuse: string | null,
  strictness: string | null,
  rules: string | null,
  isDown: boolean | null,
  limits: string | null,
  agents: string | null,
]

/**
 * The engine on PostgreSQL 13 or newer. It has three connections: for writing, for reading, for hints. Behind a
 * pooler in transaction mode it works too, without hints.
 */
export class PostgresEngine implements Engine {
  readonly #writer: PostgresConnection
  readonly #reader: PostgresConnection
  readonly #watcher: PostgresConnection
  readonly #timeoutMs: number

  /**
   * @throws {ClusterError} CLUSTER_OPTION_INVALID
   */
  constructor({ url, timeoutMs = TIMEOUT_MS.default }: PostgresEngineOptions) {
    const { min, max } = TIMEOUT_MS
    if (!Number.isSafeInteger(timeoutMs) || timeoutMs < min || timeoutMs > max) {
      const range = `is not a whole number from ${min} to ${max}`
      throw new ClusterError('CLUSTER_OPTION_INVALID', range, { option: 'timeoutMs' })
    }
    if (!/^postgres(?:ql)?:\/\//.test(url) || !URL.canParse(url)) {
      throw new ClusterError('CLUSTER_OPTION_INVALID', 'is not a postgres:// URL', {
        option: 'url',
      })
    }
    this.#timeoutMs = timeoutMs
    this.#writer = new PostgresConnection(url, timeoutMs)
    this.#reader = new PostgresConnection(url, timeoutMs)
    this.#watcher = new PostgresConnection(url, timeoutMs)
  }

  /** @inheritdoc */
  async open({ signal }: EngineCallOptions): Promise<void> {
    await migrateSchema(this.#writer, 'cluster', CLUSTER_SCHEMA, signal)
  }

  /** @inheritdoc */
  async join(request: JoinRequest, { signal }: EngineCallOptions): Promise<JoinAnswer> {
    const results = await this.#writer.run(
      this.#transaction(joinText(request, this.#writer)),
      signal,
    )
    const [digest] = results.at(-2) ?? []
    const [stored] = results.at(-3) ?? []
    const [before] = results.at(-5) ?? []
    if (stored === undefined) return { isReplaced: true, beat: Number(before?.['beat']) }
    return {
      isReplaced: false,
      head: Number(stored['head']),
      previousBoot: before === undefined ? undefined : String(before['boot']),
      digest: { count: Number(digest?.['count']), versions: Number(digest?.['versions']) },
    }
  }

  /** @inheritdoc */
  async write(batch: WriteBatch, { signal }: EngineCallOptions): Promise<WriteAnswer> {
    const text = writeText(batch, randomUUID(), this.#writer)
    const results = await this.#writer.run(this.#transaction(text), signal)
    const [end] = results.at(-2) ?? []
    if (end === undefined) return { isDone: false }
    const [before] = results[3] ?? []
    const puts: (PutAnswer | undefined)[] = batch.puts.map(() => undefined)
    for (const row of batch.puts.length === 0 ? [] : (results[7] ?? [])) {
      puts[Number(row['i'])] = putAnswerOf(row)
    }
    const wasLapsed = before?.['was_lapsed'] === true
    return { isDone: true, head: Number(end['head']), wasLapsed, puts }
  }

  /** @inheritdoc */
  async nodes({ signal }: EngineCallOptions): Promise<readonly NodeState[]> {
    const [rows = []] = await this.#reader.run(
      `select *, case when isfinite(lease_until)
           then extract(epoch from lease_until - clock_timestamp()) * 1000 else 0 end as left_ms
         from adit_cluster_node order by lease_until desc limit ${MAX_NODES}`,
      signal,
    )
    return rows.map((row) => ({
      node: {
        id: String(row['id']),
        boot: String(row['boot']),
        address: String(row['address']),
        fingerprint: String(row['fingerprint']),
        version: String(row['version']),
        isLeaving: row['is_leaving'] === true,
        load: { sessions: Number(row['sessions']), streams: Number(row['streams']) },
      },
      beat: Number(row['beat']),
      leaseLeftMs: Number(row['left_ms']),
      head: Number(row['head']),
      floor: Number(row['floor']),
      isSettled: row['is_settled'] === true,
      hasLeft: row['has_left'] === true,
    }))
  }

  /** @inheritdoc */
  async changes(
    { nodeId, after, isSnapshot, limit }: ChangesQuery,
    { signal }: EngineCallOptions,
  ): Promise<ChangesPage | undefined> {
    const [rows = []] = await this.#reader.run(
      // one row, and its changes as one JSON text: reading many columns of many rows takes far longer
      `select n.boot, n.head, n.floor, n.is_settled, (
         select json_agg(json_build_array(tenant, name, version, is_gone, epoch, identity, kind, sessions, exclusive,
             peer, reuse, strictness, rules, is_down, limits, agents) order by version)
           from (select * from adit_cluster_route where node = n.id and version > $2 and not ($3 and is_gone)
                  order by version limit $4) r) as changes
         from adit_cluster_node n where n.id = $1`,
      signal,
      [nodeId, after, isSnapshot, limit],
    )
    const [row] = rows
    if (row === undefined) return undefined
    const { changes } = row as { readonly changes?: readonly StoredChange[] | null }
    return {
      boot: String(row['boot']),
      head: Number(row['head']),
      floor: Number(row['floor']),
      isSettled: row['is_settled'] === true,
      changes: (changes ?? []).map(changeOf),
    }
  }

  /** @inheritdoc */
  async leave(node: ClusterNode, { signal }: EngineCallOptions): Promise<void> {
    await this.#writer.run(this.#transaction(leaveText(node, this.#writer)), signal)
  }

  /** @inheritdoc */
  async sweep(request: SweepRequest, { signal }: EngineCallOptions): Promise<void> {
    await this.#writer.run(this.#transaction(sweepText(request, this.#writer)), signal)
  }

  /** @inheritdoc */
  async hint(nodeId: string, { signal }: EngineCallOptions): Promise<void> {
    if (!this.#watcher.isConnected) return
    await this.#watcher.run('select pg_notify($1, $2)', signal, [CHANNEL, nodeId])
  }

  /** @inheritdoc */
  async watch(onHint: (nodeId: string) => void, { signal }: EngineCallOptions): Promise<never> {
    return await this.#watcher.listen(CHANNEL, onHint, signal)
  }

  /** @inheritdoc */
  async close(): Promise<void> {
    for (const one of [this.#writer, this.#reader, this.#watcher]) one.close()
    await Promise.resolve()
  }

  /** One round trip; a backend whose client is gone holds no lock for longer than the client would have waited. */
  #transaction(text: string): string {
    return `begin;
      set local statement_timeout = ${this.#timeoutMs};
      set local lock_timeout = ${this.#timeoutMs};
      ${text};
      commit`
  }
}

function putAnswerOf(row: SqlRow): PutAnswer {
  if (row['is_granted'] === true) return { epoch: Number(row['fresh']) }
  return {
    identity: String(row['holder']),
    since: Number(row['since_ms']),
    isExclusive: row['is_exclusive'] === true,
  }
}

function changeOf(stored: StoredChange): RouteChange {
  const [tenant, name, version, isGone, epoch] = stored
  const endpoint = { tenant, name }
  if (isGone) return { endpoint, version, epoch, facts: undefined }
  const problem = problemOf(stored)
  if (problem !== undefined) return { endpoint, version, epoch: 0, facts: undefined, problem }
  return { endpoint, version, epoch, facts: factsOf(stored) }
}

/** What no node writes: another client of the database may. */
function problemOf(stored: StoredChange): string | undefined {
  const [, , , , epoch, identity, , sessions, exclusive, , , , rules, , limits] = stored
  if (!Number.isSafeInteger(epoch) || epoch < 1 || epoch > MAX_EPOCH) return `its epoch is ${epoch}`
  if (typeof identity !== 'string') return 'it has no identity'
  if (!Number.isSafeInteger(sessions) || sessions < 0) return `it has ${sessions} sessions`
  if (typeof exclusive !== 'boolean') return 'it does not say whether its agent is the only one'
  if ((limits?.length ?? 0) > MAX_RULES_BYTES) return 'its limits are too long'
  return (rules?.length ?? 0) > MAX_RULES_BYTES ? 'its rules are too long' : undefined
}

function factsOf(stored: StoredChange): RouteFacts {
  const [, , , , , identity, kind, sessions, exclusive, peer, reuse, ...more] = stored
  const [strictness, rules, isDown, limits, agents] = more
  return {
    identity,
    kind: kind === 'http' || kind === 'tcp' ? kind : undefined,
    sessions,
    exclusive,
    peer: peer ?? undefined,
    reuse: reuse === 'never' || reuse === 'safe' || reuse === 'always' ? reuse : undefined,
    strictness: strictness === 'lenient' || strictness === 'strict' ? strictness : undefined,
    rules: rules ?? undefined,
    limits: limits ?? undefined,
    // Keys of another form would come into answers; without any, its node chooses the agents.
    agents: agents !== null && isAgentList(agents) ? agents : undefined,
    isDown: isDown === true,
  }
}
