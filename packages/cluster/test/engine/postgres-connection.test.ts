import { createServer } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { listening } from '@proj/testkit/listening'
import { Client } from 'pg'
import { expect, it, onTestFinished } from 'vitest'

import { PostgresConnection } from '../../src/engine/postgres-connection.ts'

/** A connection to a database that accepts and never answers. */
async function silentDatabase(): Promise<PostgresConnection> {
  const server = await listening(createServer((socket) => socket.on('error', () => {})))
  onTestFinished(() => server[Symbol.asyncDispose]())
  const connection = new PostgresConnection(`postgres://u@127.0.0.1:${server.port}/d`, 60_000)
  onTestFinished(() => connection.close())
  return connection
}

const { signal } = new AbortController()

it('waits for the calls before it until its signal aborts', async () => {
  const connection = await silentDatabase()
  const first = connection.run('select 1', signal)
  const patience = new AbortController()
  const second = connection.run('select 2', patience.signal)
  patience.abort(new Error('given up'))
  await expect(second).rejects.toThrow('given up')
  // The one behind it has not got ahead of the first.
  const third = connection.run('select 3', signal)
  connection.close()
  await expect(first).rejects.toMatchObject({ code: 'CLUSTER_CLOSED' })
  await expect(third).rejects.toMatchObject({ code: 'CLUSTER_CLOSED' })
})

it('lets a limited number of calls wait, and those that are given up leave room', async () => {
  const connection = await silentDatabase()
  const running = connection.run('select 0', signal)
  const patience = new AbortController()
  const waiting = Array.from({ length: 10_000 }, async () => {
    await connection.run('select 1', patience.signal)
  })
  await expect(connection.run('select 2', signal)).rejects.toMatchObject({
    code: 'CLUSTER_DATABASE_BUSY',
    retryable: true,
  })
  patience.abort(new Error('given up'))
  const ends = await Promise.allSettled(waiting)
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true)
  const last = connection.run('select 3', signal)
  connection.close()
  await expect(running).rejects.toMatchObject({ code: 'CLUSTER_CLOSED' })
  await expect(last).rejects.toMatchObject({ code: 'CLUSTER_CLOSED' })
})

it('keeps nothing of calls that are over', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const connection = await silentDatabase()
  /** A call that is given up while it runs, for a reason that nothing else holds. */
  const giveUp = async (): Promise<WeakRef<Error>> => {
    const patience = new AbortController()
    const call = connection.run('select 1', patience.signal)
    const reason = new WeakRef(new Error('given up'))
    patience.abort(reason.deref())
    await call.catch(() => {})
    return reason
  }
  const reasons = [await giveUp(), await giveUp(), await giveUp()]
  await setImmediate() // a reference that was read is held until its turn of the event loop is over
  collect()
  // The last one may still be on the stack.
  expect(reasons.slice(0, 2).map((one) => one.deref())).toEqual([undefined, undefined])
})

it.each(['', 'web', "it's", String.raw`C:\temp`, String.raw`\'; drop table x --`, "''", 'ü\n'])(
  'writes the literal that pg writes: %j',
  async (text) => {
    const connection = await silentDatabase()
    expect(connection.literal(text)).toBe(Client.prototype.escapeLiteral(text))
  },
)
