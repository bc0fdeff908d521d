import { ClusterError } from '../errors.ts'
import type { SqlRow, SqlRunner } from './postgres-connection.ts'

/** Key of the advisory lock under which tables are made: "adit". */
const LOCK = 0x61646974

/** A program that is frozen between the statements of a migration must not keep the others waiting for longer, ms. */
const MAX_IDLE_MS = 10_000

/** PostgreSQL 13, as `server_version_num` says it. */
const OLDEST_SERVER = 130_000

/** One step of a schema. A step that was released is never changed. */
export interface SchemaStep {
  /** One or more statements. */
  readonly sql: string
  /**
   * How many steps a program must know at least to use the tables after this one. During an upgrade nodes of two
   * minor versions run, and the older ones may start again: all steps that a minor version adds give the number of
   * steps of the minor version before it.
   */
  readonly oldest: number
}

/** Steps from nothing to the tables of this version. */
export const CLUSTER_SCHEMA: readonly SchemaStep[] = [
  {
    oldest: 1,
    sql: `create table adit_cluster_node (
     id text collate "C" primary key,
     boot text not null,
     address text not null,
     fingerprint text not null,
     version text not null,
     is_leaving boolean not null,
     sessions integer not null,
     streams integer not null,
     beat bigint not null,
     lease_until timestamptz not null,
     head bigint not null,
     floor bigint not null,
     is_settled boolean not null,
     has_left boolean not null,
     batch text
   );
   create table adit_cluster_route (
     node text collate "C" not null,
     tenant text collate "C" not null,
     name text collate "C" not null,
     version bigint not null,
     is_gone boolean not null,
     epoch bigint not null,
     identity text,
     kind text,
     sessions integer,
     exclusive boolean,
     peer text,
     reuse text,
     strictness text,
     rules text,
     changed_at timestamptz not null,
     primary key (node, tenant, name)
   );
   create index adit_cluster_route_version on adit_cluster_route (node, version);
   create index adit_cluster_route_name on adit_cluster_route (tenant, name);
   create table adit_cluster_name (
     tenant text collate "C" not null,
     name text collate "C" not null,
     identity text not null,
     epoch bigint not null,
     since timestamptz not null,
     primary key (tenant, name)
   )`,
  },
  {
    oldest: 1,
    sql: 'alter table adit_cluster_route add column is_down boolean',
  },
  {
    oldest: 1,
    sql: 'alter table adit_cluster_route add column limits text',
  },
  {
    oldest: 1,
    sql: 'alter table adit_cluster_route add column agents text',
  },
]

/**
 * Makes or migrates the tables of one part of the program; two programs that start at once wait for each other.
 * Nothing is written where the tables are as they should be, or newer and good for this program.
 *
 * @param part - whose tables: each part counts its own steps.
 * @param steps - in order.
 * @throws {ClusterError} CLUSTER_SCHEMA_NEWER, CLUSTER_DATABASE_TOO_OLD
 */
export async function migrateSchema(
  sql: SqlRunner,
  part: string,
  steps: readonly SchemaStep[],
  signal: AbortSignal,
): Promise<void> {
  const [[server] = []] = await sql.run('show server_version_num', signal)
  if (Number(server?.['server_version_num']) < OLDEST_SERVER) {
    throw new ClusterError('CLUSTER_DATABASE_TOO_OLD')
  }
  const [[table] = []] = await sql.run(`select to_regclass('adit_schema') as name`, signal)
  if (table?.['name'] !== null && table !== undefined) {
    const [rows] = await sql.run(versionOf(sql, part), signal)
    if (checkVersion(rows, part, steps) >= steps.length) return
  }
  try {
    const locked = await sql.run(
      `begin; set local idle_in_transaction_session_timeout = ${MAX_IDLE_MS};
       select pg_advisory_xact_lock(${LOCK});
       create table if not exists adit_schema (part text primary key, version integer not null);
       alter table adit_schema add column if not exists oldest integer;
       ${versionOf(sql, part)}`,
      signal,
    )
    const version = checkVersion(locked.at(-1), part, steps)
    const missing = steps.slice(version).map(({ sql: step }) => `${step};`)
    const oldest = Math.max(0, ...steps.map((step) => step.oldest))
    const name = sql.literal(part)
    await sql.run(
      `${missing.join('\n')}
       insert into adit_schema as s (part, version, oldest) values (${name}, ${steps.length}, ${oldest})
         on conflict (part) do update set version = excluded.version, oldest = excluded.oldest
         where s.version < excluded.version;
       commit`,
      signal,
    )
  } catch (error) {
    // a connection on which a statement failed was ended; after a refusal of ours it is in a transaction
    if (error instanceof ClusterError && error.code === 'CLUSTER_SCHEMA_NEWER') {
      await sql.run('rollback', signal)
    }
    throw error
  }
}

function versionOf(sql: SqlRunner, part: string): string {
  // A table of the first programs has no column `oldest`.
  return `select * from adit_schema where part = ${sql.literal(part)}`
}

function checkVersion(
  rows: readonly SqlRow[] | undefined,
  part: string,
  steps: readonly SchemaStep[],
): number {
  const version = Number(rows?.[0]?.['version'] ?? 0)
  if (version <= steps.length) return version
  const oldest = Number(rows?.[0]?.['oldest'] ?? version)
  if (steps.length < oldest) {
    const detail = `${part} has version ${version}, this program knows ${steps.length}`
    throw new ClusterError('CLUSTER_SCHEMA_NEWER', detail)
  }
  return version
}
