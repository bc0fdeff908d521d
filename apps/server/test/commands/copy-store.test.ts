import { postgresOfFile } from '@proj/testkit/postgres-of-file'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

import { backUp } from '../../src/commands/back-up.ts'
import { copyStore, targetUrl } from '../../src/commands/copy-store-command.ts'
import { openClusterCommandStore } from '../../src/store/cluster-store.ts'
import type { Reservation } from '../../src/store/reservation-store.ts'
import { openStore, STORE_FILE } from '../../src/store/store.ts'
import { freshDirectory, storeNode } from '../store/cluster-fixture.ts'
import { SHOP } from '../store/domain-suite.ts'
import { silent } from '../store/fixtures.ts'
import { TOKEN } from '../store/token-suite.ts'

const postgres = postgresOfFile()

const named = (endpoint: string, port?: number): Reservation => ({
  tenant: 'acme',
  endpoint,
  identity: 'a',
  kind: port === undefined ? 'http' : 'tcp',
  port,
  reservedAt: 5,
})

/** The directory of a server that stores something. */
async function usedDirectory(): Promise<string> {
  const directory = freshDirectory()
  using store = openStore(directory, { uid: process.geteuid?.(), logger: silent })
  await store.tokens.create(TOKEN)
  await store.tokens.create({ ...TOKEN, id: 'aaaaaaaa', expiresAt: undefined })
  await store.tokens.revoke('aaaaaaaa', 1_750_000_000_000)
  store.tokens.noteUse(TOKEN.id, 1_750_000_000_000)
  for (const one of [named("o'neil"), named('ssh', 9901)]) await store.reservations.reserve(one)
  await store.domains.ask(SHOP)
  await store.domains.note(SHOP, { ...SHOP, checkedAt: 7, provedAt: 6, lostAt: undefined })
  for (let count = 0; count < 1_500; count++) store.audit.write('name.taken', { count })
  return directory
}

/** Everything that a store has. */
async function contentOf(directory: string) {
  using store = openStore(directory, { uid: process.geteuid?.(), logger: silent })
  const events = await store.audit.read()
  const names = store.reservations.list()
  return { tokens: store.tokens.list(), names, domains: store.domains.list(), events }
}

const copy = async (dataDir: string, url: string) =>
  await copyStore({ dataDir, url, env: {}, logger: silent })

test('everything of a server is in the cluster, once, and comes back in a backup', async () => {
  const directory = await usedDirectory()
  const url = await postgres().createDatabase()
  expect(await copy(directory, url)).toEqual({
    database: expect.stringMatching(/^database test_\w+ on 127\.0\.0\.1:\d+$/),
    tokens: 2,
    names: 2,
    domains: 1,
    events: 1_500,
  })
  const before = await contentOf(directory)
  expect(before.events.map(({ fields }) => fields['count'])).toEqual(
    Array(1_500)
      .fill(0)
      .map((_, count) => count),
  )
  const store = await openClusterCommandStore(url, silent)
  onTestFinished(() => store.close())
  expect(store.tokens.list()).toEqual(before.tokens)
  expect(store.reservations.list()).toEqual(before.names)
  expect(await store.audit.read()).toEqual(before.events)
  const restored = freshDirectory()
  await backUp(store, join(restored, STORE_FILE))
  expect(await contentOf(restored)).toEqual(before)
  await expect(copy(directory, url)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(/has rows in adit_tokens \(STORE_NOT_EMPTY\)$/),
    hint: 'name an empty database: nothing in it is overwritten',
  })
})

test('servers that run in the cluster see what is copied, and are not alarmed', async () => {
  const url = await postgres().createDatabase()
  const node = await storeNode({ url })
  await copy(await usedDirectory(), url)
  await node.store.tokens.refresh?.()
  expect([node.store.tokens.list().length, node.store.reservations.list().length]).toEqual([2, 2])
  expect(node.logger.records.filter(({ level }) => level === 'error')).toEqual([])
})

test('a copy that fails in the middle has copied nothing', async () => {
  const directory = await usedDirectory()
  const url = await postgres().createDatabase()
  const store = await openClusterCommandStore(url, silent)
  store.close()
  // The tokens are written before it.
  await postgres().query(url, `ALTER TABLE adit_names ADD CHECK (endpoint <> 'ssh')`)
  await expect(copy(directory, url)).rejects.toMatchObject({ code: '23514' })
  for (const table of ['adit_tokens', 'adit_names', 'adit_audit']) {
    expect(await postgres().query(url, `TABLE ${table}`)).toEqual([])
  }
})

test('a directory that a server uses is not copied from', async () => {
  const url = await postgres().createDatabase()
  const directory = await usedDirectory()
  await storeNode({ url, directory })
  await expect(copy(directory, url)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining('(STORE_IN_USE)'),
  })
  await expect(copy(freshDirectory(), url)).rejects.toMatchObject({
    message: expect.stringContaining('there is no adit.db in'),
  })
})

test('a server that joins an empty cluster says that its own tokens are not used', async () => {
  const directory = await usedDirectory()
  const url = await postgres().createDatabase()
  const node = await storeNode({ url, directory })
  expect(
    node.logger.find(
      'the cluster has no tokens, names and domains, and those of this server are not used',
    ),
  ).toMatchObject([{ level: 'warn', fields: { hint: expect.stringContaining('store copy') } }])
  expect((await contentOf(directory)).tokens).toHaveLength(2)
})

test('the URL of the database is in a file or the configuration, when it has a password', () => {
  const secret = 'postgres://adit:geheim@db/adit'
  const file = join(freshDirectory(), 'url')
  writeFileSync(file, `${secret}\n`)
  const none = { to: undefined, toFile: undefined, url: undefined }
  expect(targetUrl({ ...none, toFile: file, url: 'postgres://other/adit' })).toBe(secret)
  expect(targetUrl({ ...none, url: secret })).toBe(secret)
  expect(targetUrl({ ...none, to: 'postgres://adit@db/adit' })).toBe('postgres://adit@db/adit')
  for (const to of [secret, 'postgres://db/adit?user=adit&password=geheim']) {
    expect(() => targetUrl({ ...none, to })).toThrow(
      expect.objectContaining({
        exitCode: 2,
        message: '--to has a password, which every user of this machine can read there',
        hint: 'write the URL to a file and name it with --to-file',
      }),
    )
  }
  expect(() => targetUrl(none)).toThrow('the database is not named')
  expect(() => targetUrl({ ...none, to: 'postgres://db', toFile: file })).toThrow('both given')
  expect(() => targetUrl({ ...none, toFile: `${file}.missing` })).toThrow('ENOENT')
})
