// An agent on a line of 256 kbit/s that carries an upload, while another agent of its identity comes back
// over and over: a session that is alive is not ended.
import type { Duplex } from 'node:stream'

import { slowLine } from '@proj/testkit/slow-line'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { at, openTo, startServer } from '../peers.ts'

const KBIT_PER_SECOND = 256
/** Some 12 s of the line. */
const UPLOAD_BYTES = 384 * 1024
/** Of these, on the line at once: a message of the session waits 8 s behind them. */
const AHEAD_BYTES = 256 * 1024

test('an agent on a slow line keeps its session while another of its identity reconnects', async () => {
  const server = await startServer()
  await using line = await slowLine(server.listening.port, KBIT_PER_SECOND * 1000)
  const url = `http://${line.listening.authority}`
  await using agent = new Agent({ url, connections: 1 })
  const listener = agent.listen('web')
  let received = 0
  listener.on('connection', (socket: Duplex) => {
    socket.on('data', (data: Buffer) => {
      received += data.length
      send()
    })
    socket.on('error', () => {}) // of an upload that is broken off; the sender tells
  })
  await listener.ready()
  const [session] = server.registry.sessions(at('web'))
  const upload = openTo(server.registry, { kind: 'http', endpoint: 'web' }).toStream()
  const failed = new Promise<never>((_, reject) => upload.on('error', reject))
  onTestFinished(() => void upload.destroy())
  let sent = 0
  const send = (): void => {
    const bytes = Math.min(UPLOAD_BYTES, received + AHEAD_BYTES) - sent
    sent += bytes
    upload.write(Buffer.alloc(bytes))
  }
  send()

  let returns = 0
  while (received < UPLOAD_BYTES) {
    await using other = new Agent({ url, connections: 1 })
    await Promise.race([other.listen('web').ready(), failed])
    returns += 1
    // Until the session is asked no more, it has answered or it is ended.
    await Promise.race([until(() => session?.suspect === false), failed])
  }
  expect(returns).toBeGreaterThan(1)
  expect(server.registry.sessions(at('web'))).toContain(session)
  expect(server.logger.find('agent session ended by the server')).toEqual([])
}, 120_000)
