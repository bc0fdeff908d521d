import { expect, test } from 'vitest'

import { Postgres } from '../../src/store/postgres.ts'

test.each([
  ['with a slash in its password', 'postgres://adit:5432/se@cret@127.0.0.1/adit'],
  ['with another slash in its password', 'postgres://adit:se/cret@127.0.0.1/adit'],
  ['with one slash', 'postgresql:/adit'],
  ['of another database', 'mysql://adit:secret@127.0.0.1/adit'],
])('a URL %s is refused without a part of it', async (_, url) => {
  await expect(Postgres.of(url)).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: 'cluster.database_url cannot be used: it is not a URL of PostgreSQL',
  })
})

test('a database is named without its user and password', async () => {
  const postgres = await Postgres.of('postgres://adit:se%2Fcret@127.0.0.1/adit')
  expect(postgres.name).toBe('database adit on 127.0.0.1:5432')
  await postgres.close()
})
