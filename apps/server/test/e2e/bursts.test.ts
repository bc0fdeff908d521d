// A burst of connections to an agent that does not run for a moment, as on a machine that swaps or sleeps.
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts } from '@proj/testkit/free-ports'
import { until } from '@proj/testkit/until'

import { startAgent, startServer } from './programs.ts'
import { tcpService } from './services.ts'

const CONNECTIONS = 1_000
/** Streams that an agent may have unacknowledged; the others wait at the server. */
const UNACKNOWLEDGED = 256

test('a thousand connections to a stopped agent are all served when it goes on', async () => {
  const service = await tcpService((socket) => socket.end('served'))
  const { first } = await freePorts(1)
  const patience = ['--upstream.busy-wait', '1m'] // on a busy machine they take longer to come
  const range = ['--public-ports.range', `${first}-${first}`]
  const server = await startServer(undefined, [...range, ...patience])
  const args = ['--public-port', String(first), '--connect.connections', '1']
  const agent = await startAgent('tcp', 'pg', service.port, server, args)

  agent.kill('SIGSTOP')
  const visitors: Socket[] = []
  const outcomes = Array.from({ length: CONNECTIONS }, async () => {
    const visitor = connect(first, '127.0.0.1')
    visitors.push(visitor)
    return await outcomeOf(visitor)
  })
  onTestFinished(() => {
    for (const visitor of visitors) visitor.destroy()
  })
  // Twice as many have come as may be unacknowledged; the others come while it catches up.
  const isTwice = async () => (await waiting(server.ports.admin)) >= UNACKNOWLEDGED
  await Promise.race([until(isTwice, { pollMs: 50 }), ...outcomes])
  agent.kill('SIGCONT')
  const counts = new Map<string, number>()
  for (const outcome of await Promise.all(outcomes)) {
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
  expect(Object.fromEntries(counts)).toEqual({ served: CONNECTIONS })
  await until(async () => (await waiting(server.ports.admin)) === 0)
})

/** What a visitor has read until the end, or the code with which its connection broke. */
async function outcomeOf(visitor: Socket): Promise<string> {
  let text = ''
  return await new Promise((resolve) => {
    visitor.setEncoding('utf8')
    visitor.on('data', (data: string) => (text += data))
    visitor.on('end', () => resolve(text))
    visitor.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

/** Visitors that wait for an agent, as the metrics say. */
async function waiting(admin: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text()
  return Number(/^adit_visitors_waiting (\d+)$/m.exec(metrics)?.[1])
}
