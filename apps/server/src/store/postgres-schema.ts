import { isClusterError, migrateSchema, type SchemaStep } from '@proj/cluster'

import type { Postgres } from './postgres.ts'
import { StoreError } from './store-error.ts'

/**
 * The tables of the cluster's database for what must last, as steps from nothing to now. A step that was
 * released is never edited. Times are ms since the epoch.
 *
 * `adit_revisions` has one row for each of `tokens`, `names` and `domains`, and every transaction that changes one of these
 * tables locks its row first. So there is one order of changes, limits are counted with nothing in between, and
 * a server sees by two numbers that nothing has changed. `adit_changes` has what each revision changed; a key
 * that is null stands for everything.
 */
const STEPS: readonly SchemaStep[] = [
  {
    oldest: 1,
    sql: `
  CREATE TABLE adit_revisions (
    part     text PRIMARY KEY,
    revision bigint NOT NULL,
    stamp    bigint NOT NULL
  );
  CREATE TABLE adit_changes (
    part     text NOT NULL,
    revision bigint NOT NULL,
    stamp    bigint NOT NULL,
    tenant   text,
    key      text,
    PRIMARY KEY (part, revision)
  );
  WITH made AS (
    INSERT INTO adit_revisions
      SELECT part, 0, floor(random() * 9007199254740991)::bigint
        FROM unnest(ARRAY['tokens', 'names']) AS part
      RETURNING part, revision, stamp
  )
  INSERT INTO adit_changes (part, revision, stamp) SELECT part, revision, stamp FROM made;

  CREATE TABLE adit_tokens (
    id          text PRIMARY KEY,
    hash        text NOT NULL,
    identity    text NOT NULL,
    name        text NOT NULL,
    tenant      text NOT NULL,
    rights      text NOT NULL,
    endpoints   text NOT NULL,
    created_at  bigint NOT NULL,
    expires_at  bigint,
    revoked_at  bigint,
    last_use_at bigint
  );

  CREATE TABLE adit_names (
    tenant      text NOT NULL,
    endpoint    text NOT NULL,
    identity    text NOT NULL,
    kind        text NOT NULL,
    port        integer UNIQUE,
    reserved_at bigint NOT NULL,
    PRIMARY KEY (tenant, endpoint)
  );
  CREATE INDEX adit_names_of_identity ON adit_names (tenant, identity);

  CREATE TABLE adit_audit (
    seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    writer bigint NOT NULL,
    number bigint NOT NULL,
    at     bigint NOT NULL,
    event  text NOT NULL,
    fields text NOT NULL,
    UNIQUE (writer, number)
  );
  CREATE INDEX adit_audit_by_event ON adit_audit (event, seq);
  CREATE TABLE adit_audit_deleted (
    event text PRIMARY KEY,
    count bigint NOT NULL
  );
  `,
  },
  {
    // Servers that do not know domains pass over them.
    oldest: 1,
    sql: `
  WITH made AS (
    INSERT INTO adit_revisions VALUES ('domains', 0, floor(random() * 9007199254740991)::bigint)
      RETURNING part, revision, stamp
  )
  INSERT INTO adit_changes (part, revision, stamp) SELECT part, revision, stamp FROM made;

  CREATE TABLE adit_domains (
    value      text PRIMARY KEY,
    domain     text NOT NULL,
    tenant     text NOT NULL,
    endpoint   text NOT NULL,
    identity   text NOT NULL,
    asked_at   bigint NOT NULL,
    checked_at bigint,
    proved_at  bigint,
    lost_at    bigint,
    UNIQUE (domain, tenant, identity)
  );
  CREATE UNIQUE INDEX adit_domains_proved ON adit_domains (domain) WHERE proved_at IS NOT NULL;
  CREATE INDEX adit_domains_of_identity ON adit_domains (tenant, identity);
  `,
  },
  {
    // Servers that do not know it look for a TXT record of every domain: those proved by HTTP are missing for them.
    oldest: 1,
    sql: `ALTER TABLE adit_domains ADD COLUMN challenge text NOT NULL DEFAULT 'txt'`,
  },
]

/** Name of these tables among the parts of the program that have tables there. */
const PART = 'store'

/**
 * Brings the tables up to date, or leaves them alone where that is done.
 *
 * @throws {StoreError} STORE_NEWER when this program is too old for them, STORE_TOO_OLD when the database is.
 */
export async function prepareTables(postgres: Postgres): Promise<void> {
  // Each statement has a limit of its own.
  const { signal } = new AbortController()
  try {
    await postgres.session(async (sql) => await migrateSchema(sql, PART, STEPS, signal))
  } catch (error) {
    if (!isClusterError(error)) throw error
    const code = error.code === 'CLUSTER_SCHEMA_NEWER' ? 'STORE_NEWER' : 'STORE_TOO_OLD'
    throw new StoreError(code, `${postgres.name}: ${error.message}`)
  }
}
