import { readFileSync } from 'node:fs'

import { EXIT, UserError } from '@proj/program-kit'

import { type CopiedRows, copyToDatabase } from '../store/copy-store.ts'
import { dataDirectory } from '../store/data-directory.ts'
import { Database } from '../store/database.ts'
import { lockDirectory } from '../store/directory-lock.ts'
import { MIGRATIONS } from '../store/migrations.ts'
import { Postgres } from '../store/postgres.ts'
import { prepareTables } from '../store/postgres-schema.ts'
import { explained, requireStoreFile, type ServerStoreOptions } from '../store/server-store.ts'
import { isStoreError } from '../store/store-error.ts'

/** Where the URL of the database may come from. */
export interface CopyTarget {
  /** Of the command line, which every user of the machine can read. */
  readonly to: string | undefined
  /** Path of a file with it. */
  readonly toFile: string | undefined
  /** Of the configuration. */
  readonly url: string | undefined
}

/**
 * The URL of the database to copy to.
 *
 * @throws {UserError} exit code 2 when there is none or more than one, and for a password on the command line.
 */
export function targetUrl({ to, toFile, url }: CopyTarget): string {
  if (to !== undefined && toFile !== undefined) throw usage('--to and --to-file are both given')
  if (toFile !== undefined) return readUrl(toFile)
  if (to !== undefined) {
    if (hasPassword(to)) {
      throw usage(
        '--to has a password, which every user of this machine can read there',
        'write the URL to a file and name it with --to-file',
      )
    }
    return to
  }
  if (url !== undefined) return url
  throw usage('the database is not named', 'name a file with its URL: --to-file')
}

/**
 * Copies everything a server stores to the database of a cluster. No server can use the directory meanwhile.
 *
 * @throws {UserError} exit code 2 when the database has rows, or a server runs with the directory.
 */
export async function copyStore({
  dataDir,
  env,
  url,
}: ServerStoreOptions & { readonly url: string }): Promise<
  CopiedRows & { readonly database: string }
> {
  const { path } = dataDirectory(dataDir, { env, uid: process.geteuid?.() })
  const file = requireStoreFile(path)
  let postgres: Postgres | undefined
  try {
    using _lock = lockDirectory(path)
    const source = Database.open(file, { migrations: MIGRATIONS })
    try {
      postgres = await Postgres.of(url)
      await prepareTables(postgres)
      return { database: postgres.name, ...(await copyToDatabase(source, postgres)) }
    } finally {
      source.close()
    }
  } catch (error) {
    throw isStoreError(error) ? explained(error) : error
  } finally {
    await postgres?.close()
  }
}

function readUrl(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw usage(`--to-file: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function hasPassword(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { password, searchParams } = new URL(url)
  return password !== '' || searchParams.has('password')
}

function usage(message: string, hint?: string): UserError {
  return new UserError(message, { exitCode: EXIT.usage, hint })
}
