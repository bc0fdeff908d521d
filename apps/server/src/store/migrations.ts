/**
 * The shape of the database, as steps from nothing to now. A step that was released is never edited:
 * the file has the number of steps taken (`user_version`), and only the missing ones are taken.
 * Times are ms since the epoch. STRICT tables hold to their column types, so rows need no checking.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE tokens (
    id          TEXT PRIMARY KEY,
    hash        TEXT NOT NULL,
    identity    TEXT NOT NULL,
    name        TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    rights      TEXT NOT NULL,
    endpoints   TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER,
    last_use_at INTEGER
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE reservations (
    tenant      TEXT NOT NULL,
    endpoint    TEXT NOT NULL,
    identity    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    port        INTEGER,
    reserved_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, endpoint)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX reservations_of_identity ON reservations (tenant, identity);

  CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    event      TEXT NOT NULL,
    fields     TEXT NOT NULL,
    is_refusal INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX audit_by_kind ON audit (is_refusal, seq);
  `,
  `
  DROP INDEX audit_by_kind;
  ALTER TABLE audit DROP COLUMN is_refusal;
  CREATE INDEX audit_by_event ON audit (event, seq);
  `,
  `
  CREATE TABLE served (
    tenant   TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    PRIMARY KEY (tenant, endpoint)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE INDEX reservations_by_port ON reservations (port) WHERE port IS NOT NULL;
  `,
  // Not unique by domain: the copy of a cluster takes changes over in any order.
  `
  CREATE TABLE domains (
    value      TEXT PRIMARY KEY,
    domain     TEXT NOT NULL,
    tenant     TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    identity   TEXT NOT NULL,
    asked_at   INTEGER NOT NULL,
    checked_at INTEGER,
    proved_at  INTEGER,
    lost_at    INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX domains_by_name ON domains (domain, tenant, identity);
  CREATE INDEX domains_of_identity ON domains (tenant, identity);
  `,
  `
  ALTER TABLE domains ADD COLUMN challenge TEXT NOT NULL DEFAULT 'txt';
  `,
]
