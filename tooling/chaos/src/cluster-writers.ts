// What is asked of a cluster while its nodes and its database are killed: names are reserved and released, tokens
// are made and revoked, and agents of several identities claim the same names. Each acknowledgement is noted, and
// compared at the end with what the cluster has; the database notes each holder of a name with its epoch.
import { setTimeout as delay } from 'node:timers/promises'

import {
  Agent,
  forward,
  isTunnelError,
  releaseName,
  reservedNames,
  reserveName,
} from '@proj/tunnel'
import { until } from '@proj/testkit/until'

import type { Random } from './random.ts'
import type { RestartStage } from './restart-stage.ts'

/** An identity, and what it was told about its names. */
interface Owner {
  readonly token: string
  /** Names whose reservation was acknowledged, and not asked to be released. */
  readonly kept: Set<string>
  /** Names whose release was acknowledged. */
  readonly released: Set<string>
}

/** What is fought for; some names for two agents of each identity at a time. */
const CONTESTED = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5'] as const
const IDENTITIES = 3
const WRITERS = 3
const CONTENDERS = 6
/** Share of steps that undo something. */
const UNDO = 0.2
const PAUSE_MS = 20
/** Longest time that a claim is kept, ms. */
const HOLD_MS = 400
/** Longest wait for one answer, ms. */
const ANSWER_MS = 10_000
/** Longest wait until all nodes have read what is stored. */
const SEEN_WITHIN_MS = 60_000
const MAX_NAMED = 3

const NOTE_HOLDERS = `
  create table holder (name text, epoch bigint, identity text, primary key (name, epoch, identity));
  create function note_holder() returns trigger language plpgsql as $$ begin
    if new.identity is not null and new.epoch > 0 then
      insert into holder values (new.name, new.epoch, new.identity) on conflict do nothing;
    end if;
    return null;
  end $$;
  create trigger note_holder after insert or update on adit_cluster_name
    for each row execute function note_holder();
  create trigger note_holder after insert or update on adit_cluster_route
    for each row execute function note_holder();`

/** Those who ask, from `start` to `stop`. */
export class ClusterWriters {
  /** What was acknowledged so far. */
  readonly acknowledged = { names: 0, releases: 0, tokens: 0, revocations: 0, claims: 0 }
  readonly #stage: RestartStage
  readonly #random: Random
  readonly #ending = new AbortController()
  readonly #owners: Owner[] = []
  readonly #tokens = new Map<string, { readonly text: string; isRevoked: boolean | undefined }>()
  #loops: Promise<void>[] = []
  #asked = 0

  constructor(stage: RestartStage, random: Random) {
    this.#stage = stage
    this.#random = random
  }

  /** Makes the identities, and begins. */
  async start(): Promise<this> {
    await this.#stage.database.query(this.#stage.databaseUrl, NOTE_HOLDERS)
    for (let at = 0; at < IDENTITIES; at += 1) {
      const { text } = await this.#makeToken()
      this.#owners.push({ token: text, kept: new Set(), released: new Set() })
    }
    const every = <T>(count: number, run: (at: number) => T): T[] =>
      Array.from({ length: count }, (_, at) => run(at))
    this.#loops = [
      ...every(WRITERS, async (at) => await this.#repeat(async () => await this.#writeName(at))),
      ...every(CONTENDERS, async (at) => await this.#repeat(async () => await this.#claim(at))),
      this.#repeat(async () => await this.#writeToken()),
    ]
    return this
  }

  /** Waits until more names and claims are acknowledged: the cluster goes on after a fault. */
  async progress(): Promise<void> {
    const { names, claims } = this.acknowledged
    await until(() => this.acknowledged.names > names && this.acknowledged.claims > claims, {
      timeoutMs: SEEN_WITHIN_MS,
      what: 'a name and a claim that are acknowledged after a fault',
    })
  }

  /** Ends, and compares. Nodes and database run. @returns what is wrong. */
  async stop(): Promise<string[]> {
    this.#ending.abort()
    await Promise.all(this.#loops)
    const problems = await this.#lostTokens()
    for (const at of this.#stage.servers.keys()) problems.push(...(await this.#lostNames(at)))
    const doubled = await this.#stage.database.query(
      this.#stage.databaseUrl,
      'select name, epoch from holder group by name, epoch having count(*) > 1',
    )
    problems.push(
      ...told(
        `epochs of a name with two holders`,
        doubled.map(({ name }) => name),
      ),
    )
    return problems
  }

  /** Changes of the holder of a name that the database has noted. */
  async holders(): Promise<number> {
    const found = await this.#stage.database.query(
      this.#stage.databaseUrl,
      'select count(*) as count from holder',
    )
    return Number(found[0]?.['count'])
  }

  async #repeat(step: () => Promise<void>): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      // what is asked of a node or a database that was killed fails
      await step().catch(() => {})
      await delay(PAUSE_MS, undefined, { signal }).catch(() => {})
    }
  }

  get #someUrl(): string {
    return this.#stage.upstreamUrl(this.#random.between(0, this.#stage.servers.length - 1))
  }

  /** One reservation, or one release. What fails may be stored or not, and is compared with nothing. */
  async #writeName(at: number): Promise<void> {
    const owner = this.#owners[at % IDENTITIES]
    if (owner === undefined) return
    const { token, kept, released } = owner
    const server = { url: this.#someUrl, token }
    const options = { signal: AbortSignal.timeout(ANSWER_MS) }
    const [oldest] = kept
    if (oldest !== undefined && this.#random.next() < UNDO) {
      kept.delete(oldest)
      await releaseName(server, oldest, options)
      released.add(oldest)
      this.acknowledged.releases += 1
    } else {
      const name = `n${(this.#asked += 1)}`
      await reserveName(server, name, options)
      kept.add(name)
      this.acknowledged.names += 1
    }
  }

  /** One claim of a name that others want, kept for a moment. */
  async #claim(at: number): Promise<void> {
    const token = this.#owners[at % IDENTITIES]?.token ?? ''
    await using agent = new Agent({ url: this.#someUrl, token, connections: 1 })
    const service = { host: '127.0.0.1', port: 1 } // no visitor comes
    const listener = forward(agent, this.#random.pick(CONTESTED), { kind: 'http', service })
    await listener.ready({ signal: AbortSignal.timeout(ANSWER_MS) })
    this.acknowledged.claims += 1
    await delay(this.#random.between(0, HOLD_MS), undefined, { signal: this.#ending.signal })
  }

  /** One token, or one revocation. */
  async #writeToken(): Promise<void> {
    const [id, last] = [...this.#tokens].at(-1) ?? []
    if (id !== undefined && last?.isRevoked === false && this.#random.next() < UNDO) {
      last.isRevoked = undefined
      await this.#stage.storeCommand(['token', 'revoke', id])
      last.isRevoked = true
      this.acknowledged.revocations += 1
    } else {
      const { id: made, text } = await this.#makeToken()
      this.#tokens.set(made, { text, isRevoked: false })
      this.acknowledged.tokens += 1
    }
  }

  async #makeToken(): Promise<{ readonly id: string; readonly text: string }> {
    const rights = ['--endpoints', '*', '--may', 'listen']
    const made = await this.#stage.storeCommand(['token', 'create', ...rights])
    return { id: made['id'] as string, text: made['token'] as string }
  }

  /** Names that a node does not have as it was acknowledged. */
  async #lostNames(at: number): Promise<string[]> {
    const problems: string[] = []
    const where = `at node ${at + 1}`
    const look = async (): Promise<boolean> => {
      problems.length = 0
      for (const { token, kept, released } of this.#owners) {
        const listed = await reservedNames({ url: this.#stage.upstreamUrl(at), token })
        const names = new Set(listed.map(({ endpoint }) => endpoint))
        const lost = [...kept].filter((name) => !names.has(name))
        const back = [...released].filter((name) => names.has(name))
        problems.push(...told(`reserved names lost ${where}`, lost))
        problems.push(...told(`released names still there ${where}`, back))
      }
      return problems.length === 0
    }
    const options = { timeoutMs: SEEN_WITHIN_MS, pollMs: 200 }
    await until(look, options).catch((error: unknown) => {
      if (problems.length === 0) problems.push(`no names ${where}: ${String(error)}`)
    })
    return problems
  }

  /** Tokens that are not accepted, or still are. */
  async #lostTokens(): Promise<string[]> {
    let lost: string[] = []
    let back: string[] = []
    const look = async (): Promise<boolean> => {
      lost = []
      back = []
      for (const [id, { text, isRevoked }] of this.#tokens) {
        if (isRevoked === undefined) continue
        const isGood = await this.#isAccepted(text)
        if (isGood === isRevoked) (isRevoked ? back : lost).push(id)
      }
      return lost.length + back.length === 0
    }
    await until(look, { timeoutMs: SEEN_WITHIN_MS, pollMs: 200 }).catch(() => {})
    return [...told('tokens lost', lost), ...told('revoked tokens that are accepted', back)]
  }

  async #isAccepted(token: string): Promise<boolean> {
    try {
      await reservedNames({ url: this.#someUrl, token })
      return true
    } catch (error) {
      if (isTunnelError(error) && error.code === 'TUNNEL_UNAUTHORIZED') return false
      throw error
    }
  }
}

/** A problem, when there are any of these. */
function told(what: string, which: readonly unknown[]): string[] {
  if (which.length === 0) return []
  return [`${which.length} ${what}: ${which.slice(0, MAX_NAMED).join(', ')}`]
}
