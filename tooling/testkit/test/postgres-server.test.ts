import { expect, test } from 'vitest'

import { postgresOfFile } from '../src/postgres-of-file.ts'
import { findPrograms } from '../src/postgres-server.ts'
import { temporaryDirectory } from '../src/temporary-directory.ts'

const server = postgresOfFile()

test('a database has what was committed after every process of the server was killed', async () => {
  const url = await server().createDatabase()
  await server().query(url, 'CREATE TABLE kept (word text)')
  await server().query(url, 'INSERT INTO kept VALUES ($1)', ['one'])
  await server().kill()
  await expect(server().query(url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await server().run()
  expect(await server().query(url, 'SELECT word FROM kept')).toEqual([{ word: 'one' }])
})

test('two databases have nothing in common, and the password is asked for', async () => {
  const [one, other] = [await server().createDatabase(), await server().createDatabase()]
  await server().query(one, 'CREATE TABLE here ()')
  await expect(server().query(other, 'TABLE here')).rejects.toMatchObject({ code: '42P01' })
  const wrong = one.replace(server().password, 'wrong')
  await expect(server().query(wrong, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
})

test('a frozen server answers when it goes on', async () => {
  const url = await server().createDatabase()
  server().freeze()
  const answer = server().query(url, 'SELECT 1 AS one')
  server().thaw()
  expect(await answer).toEqual([{ one: 1 }])
})

test('a standby has what was committed, and is written to when it was promoted', async () => {
  const url = await server().createDatabase()
  await server().query(url, 'CREATE TABLE kept (word text)')
  await using standby = await server().standby()
  const copied = standby.url(new URL(url).pathname.slice(1))
  const insert = "INSERT INTO kept VALUES ('one')"
  await expect(standby.query(copied, insert)).rejects.toMatchObject({ code: '25006' })
  await standby.promote()
  await standby.query(copied, insert)
  expect(await standby.query(copied, 'SELECT word FROM kept')).toEqual([{ word: 'one' }])
})

test('a folder without pg_basebackup is passed over', () => {
  using client = temporaryDirectory()
  using server = temporaryDirectory()
  for (const name of ['postgres', 'initdb']) client.write(name, '')
  for (const name of ['postgres', 'initdb', 'pg_basebackup']) server.write(name, '')
  expect(findPrograms([client.path, server.path])).toBe(server.path)
  expect(findPrograms([client.path])).toBeUndefined()
})
