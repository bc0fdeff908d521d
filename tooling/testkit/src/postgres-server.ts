// A real PostgreSQL: one server for a test file, a database for each test. It keeps nothing safe from a power
// cut (fsync=off), but everything from a killed process, which is what tests kill.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'

import { freePorts } from './free-ports.ts'
import { Spawned } from './spawned.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { until } from './until.ts'

/** User of every database; a superuser. */
const USER = 'adit'

const DEBIAN = '/usr/lib/postgresql'

const FOLDERS = [...debianFolders(), '/usr/local/bin', '/usr/bin', '/usr/local/pgsql/bin']

const PROGRAMS = ['postgres', 'initdb', 'pg_basebackup']

/** What to install; no npm package is the second choice, see docs/decisions/0063. */
const POSTGRES_MISSING =
  'PostgreSQL is missing: install postgresql (Debian, Ubuntu, Arch) or postgresql-server (Fedora)'

/** Why no PostgreSQL can be started here; undefined when one can. */
export function postgresMissing(): string | undefined {
  if (findPrograms(FOLDERS) === undefined) return POSTGRES_MISSING
  if (process.getuid?.() !== 0) return undefined
  return serverUser() === undefined
    ? 'there is no user that a PostgreSQL may run as, it refuses root'
    : undefined
}

/** A PostgreSQL that runs on loopback. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number
  /** Password of its user; a secret of the length of a real one, to look for in logs. */
  readonly password: string
  readonly #folder: ReturnType<typeof temporaryDirectory>
  readonly #programs: string
  #process: Spawned | undefined

  private constructor(
    folder: ReturnType<typeof temporaryDirectory>,
    programs: string,
    port: number,
    password: string,
  ) {
    this.#folder = folder
    this.#programs = programs
    this.port = port
    this.password = password
  }

  /** Makes an empty server and starts it. Call it where {@link postgresMissing} gives no reason. */
  static async start(): Promise<PostgresServer> {
    const programs = findPrograms(FOLDERS)
    if (programs === undefined) throw new Error(postgresMissing())
    const { first: port } = await freePorts(1)
    const folder = temporaryDirectory()
    const server = new PostgresServer(folder, programs, port, randomBytes(12).toString('hex'))
    folder.write('password', server.password, 0o644)
    const password = join(folder.path, 'password')
    server.#make(
      'initdb',
      `-U ${USER} -E UTF8 --locale=C --no-sync -A scram-sha-256 --pwfile ${password}`,
    )
    await server.run()
    return server
  }

  /** Starts a standby: another server, which has everything that this one has and follows it. */
  async standby(): Promise<PostgresServer> {
    const { first: port } = await freePorts(1)
    const folder = temporaryDirectory()
    const standby = new PostgresServer(folder, this.#programs, port, this.password)
    standby.#make('pg_basebackup', `-R -X stream -c fast --no-sync -d ${this.url('postgres')}`)
    await standby.run()
    return standby
  }

  /** Makes a standby a server that can be written to. */
  async promote(): Promise<void> {
    await this.query('postgres', 'SELECT pg_promote()')
  }

  /** URL of a database, with the password. */
  url(database: string): string {
    return `postgres://${USER}:${this.password}@127.0.0.1:${this.port}/${database}`
  }

  /** Makes an empty database. @returns its URL. */
  async createDatabase(): Promise<string> {
    const name = `test_${randomBytes(6).toString('hex')}`
    await this.query('postgres', `CREATE DATABASE ${name}`)
    return this.url(name)
  }

  /** Runs statements on a connection of their own. @param at - URL or name of the database. */
  async query(
    at: string,
    sql: string,
    values?: unknown[],
  ): Promise<readonly Record<string, unknown>[]> {
    const client = new Client({ connectionString: at.includes('://') ? at : this.url(at) })
    client.on('error', () => {}) // the query fails with it
    await client.connect()
    try {
      const found = await client.query<Record<string, unknown>>(sql, values)
      return found.rows ?? []
    } finally {
      await client.end()
    }
  }

  /** Starts it, for the first time or again, and waits until it answers. */
  async run(): Promise<void> {
    // After a kill the system may take a moment to free what the processes before had.
    await until(
      async () => {
        const limits = '-c fsync=off -c shared_buffers=16MB -c max_connections=60'
        const [command, args] = this.#command(
          'postgres',
          `-D ${this.#data} -p ${this.port} -h 127.0.0.1 -c unix_socket_directories= ${limits}`,
        )
        // Not tied to the test that runs: the server is there for all of the file.
        const running = new Spawned(command, args)
        this.#process = running
        try {
          await running.line(/ready to accept (?:read[- ]only )?connections/)
          return true
        } catch {
          await running.stop()
          return false
        }
      },
      { what: 'a PostgreSQL that starts', timeoutMs: 60_000 },
    )
  }

  /** Ends it as an operator does (SIGINT: a fast shutdown), and waits until it is gone. */
  async stop(): Promise<void> {
    this.thaw()
    this.#process?.kill('SIGINT')
    await this.#process?.exited
  }

  /** Kills every process of it, and waits until they are gone. */
  async kill(): Promise<void> {
    const running = this.#pids()
    this.#signal('SIGKILL')
    await this.#process?.exited
    await until(() => running.every((pid) => !existsSync(`/proc/${pid}`)), {
      what: 'the end of the processes of PostgreSQL',
    })
  }

  /** Stops every process of it where it is: connections stay open, and nothing answers. */
  freeze(): void {
    this.#signal('SIGSTOP')
  }

  /** Lets a frozen one go on. */
  thaw(): void {
    this.#signal('SIGCONT')
  }

  /** Ends it and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    this.#folder[Symbol.dispose]()
  }

  get #data(): string {
    return join(this.#folder.path, 'data')
  }

  /** Makes the files of the server, as its user. @param args - separated by spaces. */
  #make(program: string, args: string): void {
    const user = serverUser()
    if (user !== undefined) chownSync(this.#folder.path, user.uid, user.gid)
    const made = this.#command(program, `-D ${this.#data} ${args}`)
    const { status, stdout, stderr } = spawnSync(...made, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`${program}: ${stdout}${stderr}`)
  }

  /** @param args - separated by spaces. */
  #command(program: string, args: string): [command: string, args: string[]] {
    const path = join(this.#programs, program)
    const user = serverUser()
    if (user === undefined) return [path, args.split(' ')]
    // It becomes the program, so that signals reach that.
    const ids = `--reuid=${user.uid} --regid=${user.gid} --clear-groups`
    return ['setpriv', `${ids} ${path} ${args}`.split(' ')]
  }

  #pids(): readonly number[] {
    const main = this.#process?.pid ?? -1
    if (main < 0 || !existsSync(`/proc/${main}`)) return []
    const children = readFileSync(`/proc/${main}/task/${main}/children`, 'utf8')
    return [main, ...children.split(' ').filter(Boolean).map(Number)]
  }

  #signal(signal: NodeJS.Signals): void {
    for (const pid of this.#pids()) {
      try {
        process.kill(pid, signal)
      } catch {
        // it has ended
      }
    }
  }
}

/** The first of the folders that has every program of a server. */
export function findPrograms(folders: readonly string[]): string | undefined {
  return folders.find((folder) => PROGRAMS.every((name) => existsSync(join(folder, name))))
}

/** One for each version, the newest first. */
function debianFolders(): readonly string[] {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN) : []
  const newestFirst = versions.toSorted((one, other) => Number(other) - Number(one))
  return newestFirst.map((version) => join(DEBIAN, version, 'bin'))
}

/** The user that the server runs as where the tests run as root; undefined elsewhere. */
function serverUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name === 'postgres' || name === 'nobody') return { uid: Number(uid), gid: Number(gid) }
  }
  return undefined
}
