// A name that was acknowledged is there after kill -9, whatever the program was doing.
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reservedNames, reserveName } from '@proj/tunnel'
import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { startServer } from './programs.ts'
import { storeProgram } from './store-programs.ts'

const WRITER = storeProgram('store-writer')

/** Rounds of the store alone, and of the whole server. What is kept does not depend on the version of Node. */
const [STORE_ROUNDS, SERVER_ROUNDS] = process.env['ADIT_FULL_TESTS'] === '1' ? [120, 8] : [20, 2]
const TIMEOUT_MS = 300_000

/** Names in a file, after it was found to be whole. */
function namesIn(file: string): Set<unknown> {
  const database = Database.open(file, { migrations: MIGRATIONS })
  try {
    expect(database.all('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
    return new Set(
      database.all('SELECT endpoint FROM reservations').map(({ endpoint }) => endpoint),
    )
  } finally {
    database.close()
  }
}

/** Kills a writer again and again, and looks each time whether everything it had said is there. */
async function rounds(chain: string, count: number): Promise<number> {
  using directory = temporaryDirectory()
  const file = join(directory.path, 'adit.db')
  const acknowledged: string[] = []
  for (let round = 0; round < count; round++) {
    const writer = spawned(process.execPath, [WRITER, file, `${chain}${round}`])
    // It goes on meanwhile: what hits it is a write, a checkpoint, or the very first steps.
    const last = `${chain}${round}-${randomInt(30)}`
    await writer.line((line) => line === last)
    writer.kill('SIGKILL')
    await writer.exited
    acknowledged.push(...writer.stdout.split('\n').slice(0, -1))
    const kept = namesIn(file)
    expect(acknowledged.filter((name) => !kept.has(name))).toEqual([])
  }
  return acknowledged.length
}

test(
  `${STORE_ROUNDS} kills of a process that reserves names lose none that was acknowledged`,
  { timeout: TIMEOUT_MS },
  async () => {
    const chains = ['a', 'b'].map((chain) => rounds(chain, STORE_ROUNDS / 2))
    const [a = 0, b = 0] = await Promise.all(chains)
    expect(a + b).toBeGreaterThan(STORE_ROUNDS)
  },
)

test(
  `${SERVER_ROUNDS} kills of a server that is asked for names lose none that it acknowledged`,
  { timeout: TIMEOUT_MS },
  async () => {
    using directory = temporaryDirectory()
    const acknowledged: string[] = []
    let asked = 0
    for (let round = 0; round < SERVER_ROUNDS; round++) {
      const server = await startServer(undefined, ['--data-dir', directory.path])
      const url = `http://127.0.0.1:${server.ports.upstream}`
      const kept = new Set((await reservedNames({ url })).map(({ endpoint }) => endpoint))
      expect(acknowledged.filter((name) => !kept.has(name))).toEqual([])
      const enough = acknowledged.length + randomInt(1, 7)
      const ask = async (): Promise<void> => {
        while (acknowledged.length < enough) {
          const name = `name-${asked++}`
          await reserveName({ url }, name)
          acknowledged.push(name)
        }
        server.process.kill('SIGKILL')
      }
      // Those that are under way when it dies fail, and may or may not be kept.
      await Promise.allSettled([ask(), ask(), ask()])
      await server.process.exited
    }
    const kept = namesIn(join(directory.path, 'adit.db'))
    expect(acknowledged.filter((name) => !kept.has(name))).toEqual([])
    expect(acknowledged.length).toBeGreaterThanOrEqual(SERVER_ROUNDS)
  },
)
