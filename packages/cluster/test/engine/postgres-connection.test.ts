import { createServer } from 'node:net'

import { listening } from '@proj/testkit/listening'
import { expect, it, onTestFinished } from 'vitest'

import { PostgresConnection } from '../../src/engine/postgres-connection.ts'

it('waits for the calls before it until its signal aborts', async () => {
  // A database that accepts, and never answers.
  const server = await listening(createServer((socket) => socket.on('error', () => {})))
  onTestFinished(() => server[Symbol.asyncDispose]())
  const connection = new PostgresConnection(`postgres://u@127.0.0.1:${server.port}/d`, 60_000)
  const first = connection.run('select 1', new AbortController().signal)
  const patience = new AbortController()
  const second = connection.run('select 2', patience.signal)
  patience.abort(new Error('given up'))
  await expect(second).rejects.toThrow('given up')
  // The one behind it has not got ahead of the first.
  const third = connection.run('select 3', new AbortController().signal)
  connection.close()
  await expect(first).rejects.toMatchObject({ code: 'CLUSTER_CLOSED' })
  await expect(third).rejects.toMatchObject({ code: 'CLUSTER_CLOSED' })
})
