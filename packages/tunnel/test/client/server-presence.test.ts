// What is logged when one of several servers leaves and is back.
import type { Socket } from 'node:net'

import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { startServer, type TestServer } from '../peers.ts'

const FAST = { backoff: { minMs: 1, baseMs: 1, maxMs: 20 }, spreadIntervalMs: 100 }

/** A server, and what cuts its connections as its kill would. */
async function startKillable(): Promise<TestServer & { cut(): void }> {
  const server = await startServer()
  const sockets = new Set<Socket>()
  server.http.on('connection', (socket) => sockets.add(socket))
  return {
    ...server,
    cut: () => {
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    },
  }
}

/** Lines about a server that leaves and is back. */
function linesOf({ records }: RecordingLogger, { url }: TestServer): string[] {
  const about = records.filter(({ fields }) => fields['server'] === url)
  return about
    .filter(({ message }) => message.startsWith('a server '))
    .map(
      ({ level, message, fields }) =>
        `${level} ${message}, others: ${String(fields['others'] as number | undefined)}`,
    )
}

test('an agent logs that one of its two servers leaves or is lost, and that it is back', async () => {
  const [first, second] = [await startKillable(), await startKillable()]
  const logger = new RecordingLogger()
  const agent = new Agent({ url: [first.url, second.url], logger, ...FAST })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  await agent.listen('web').ready()
  await agent.reached(2, { signal: new AbortController().signal })
  for (const session of first.upstream.sessions) session.askToMove()
  await until(() => linesOf(logger, first).length === 2)
  expect(linesOf(logger, first)).toEqual([
    'warn a server leaves: it is stopping, others: 1',
    'info a server is back, others: undefined',
  ])
  second.cut()
  await until(() => linesOf(logger, second).length === 2)
  expect(linesOf(logger, second)).toEqual([
    'warn a server is lost, others: 1',
    'info a server is back, others: undefined',
  ])
  await agent.close()
  expect([linesOf(logger, first).length, linesOf(logger, second).length]).toEqual([2, 2])
})

test('a consumer does too', async () => {
  const [first, second] = [await startKillable(), await startKillable()]
  const logger = new RecordingLogger()
  const consumer = new Consumer({ url: [first.url, second.url], logger, ...FAST })
  onTestFinished(() => consumer[Symbol.asyncDispose]())
  consumer.start()
  await until(() => consumer.connections.length === 2)
  first.cut()
  await until(() => linesOf(logger, first).length === 2)
  expect(linesOf(logger, first)).toEqual([
    'warn a server is lost, others: 1',
    'info a server is back, others: undefined',
  ])
  await consumer.close()
  expect(linesOf(logger, second)).toEqual([])
})

test('with one server there is nothing to tell', async () => {
  const server = await startKillable()
  const logger = new RecordingLogger()
  const agent = new Agent({ url: server.url, logger, ...FAST })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  await agent.listen('web').ready()
  let connections = 0
  agent.on('connected', () => (connections += 1))
  server.cut()
  await until(() => connections > 0)
  expect(logger.records.filter(({ message }) => message.startsWith('a server '))).toEqual([])
})
