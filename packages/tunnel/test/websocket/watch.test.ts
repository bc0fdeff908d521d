// Peers that stop answering. Intervals are short here, and no test asserts how long anything took.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'
import { WEBSOCKET_DEFAULTS } from '../../src/websocket/options.ts'
import { WebSocketPipe } from '../../src/websocket/pipe.ts'
import { failure, frame, pipePair, rawPair } from './peers.ts'

const PING = Buffer.from('8900', 'hex')
/** A pong of a client: two bytes and a masking key. */
const PONG_BYTES = 6
const fast = { pingIntervalMs: 10, missedPongs: 2 }
/** For peers that do answer, in this very process: it may stand still for a while. */
const patient = { pingIntervalMs: 10, missedPongs: 40, maxIdleFramesPerSecond: Infinity }

/** Counts the pings of a server pipe, and runs `answer` at each. */
function countPings(raw: Socket, answer: () => void = () => {}): { count: number } {
  const pings = { count: 0 }
  raw.on('data', (chunk: Buffer) => {
    for (let at = chunk.indexOf(PING); at >= 0; at = chunk.indexOf(PING, at + 2)) {
      pings.count += 1
      answer()
    }
  })
  return pings
}

test('by default a frozen peer is noticed within 15 s', () => {
  const { pingIntervalMs, missedPongs } = WEBSOCKET_DEFAULTS
  expect((missedPongs + 0.5) * pingIntervalMs).toBeLessThanOrEqual(15_000)
})

test('a peer that never answers fails the pipe and sees a reset, not an end', async () => {
  await using pair = await rawPair({ role: 'server', ...fast })
  const pings = countPings(pair.raw)
  const reset = once(pair.raw, 'end') // rejects with the error
  const error = await failure(pair.pipe)
  expect(error.code).toBe('WEBSOCKET_PEER_SILENT')
  await expect(reset).rejects.toMatchObject({ code: 'ECONNRESET' })
  // How many depends on how busy this machine is: the reset overtakes some, late timers add some.
  expect(pings.count).toBeGreaterThanOrEqual(1)
})

test('two idle pipes keep each other alive', async () => {
  await using pair = await pipePair(patient)
  await until(() => pair.client.bytesRead > 60 * 4, { what: '60 pings and pongs' })
  expect(pair.near.destroyed || pair.far.destroyed).toBe(false)
  pair.near.destroy()
  pair.far.destroy()
})

test('whatever comes counts as life: a peer that sends data need not answer', async () => {
  await using pair = await rawPair({ role: 'server', ...patient })
  const message = frame({ opcode: 2, payload: Buffer.from('x'), key: 1 })
  const pings = countPings(pair.raw, () => pair.raw.write(message))
  pair.pipe.resume()
  await until(() => pings.count >= 60)
  expect(pair.pipe.destroyed).toBe(false)
  pair.pipe.destroy()
})

test('a peer is not blamed for what this side does not read', async () => {
  await using pair = await rawPair({ role: 'server', ...fast, readBufferBytes: 1 })
  const pings = countPings(pair.raw)
  pair.raw.write(frame({ opcode: 2, payload: Buffer.from('unread'), key: 1 }))
  await until(() => pings.count >= 8)
  expect(pair.pipe.destroyed).toBe(false)
  expect((await failure(pair.pipe)).code).toBe('WEBSOCKET_PEER_SILENT')
})

test.each([
  ['pingIntervalMs', { pingIntervalMs: Infinity }, 0],
  ['missedPongs', { pingIntervalMs: 10, missedPongs: Infinity }, 8],
])('%s Infinity never takes a peer for dead', async (_name, options, atLeast) => {
  await using pair = await rawPair({ role: 'server', ...options })
  await using other = await rawPair({ role: 'server', ...fast })
  const pings = countPings(pair.raw)
  await failure(other.pipe)
  await until(() => pings.count >= atLeast)
  expect(pair.pipe.destroyed).toBe(false)
  pair.pipe.destroy()
})

test('a stopped process is noticed', async () => {
  const server = createServer()
  await using listen = await listening(server)
  const ws = JSON.stringify(createRequire(import.meta.url).resolve('ws'))
  const program = `new (require(${ws}))(${JSON.stringify(`ws://${listen.authority}`)})`
  const child = spawn(process.execPath, ['-e', program], { stdio: 'inherit' })
  try {
    const [request, socket] = (await once(server, 'upgrade')) as [
      { headers: Record<string, string> },
      Socket,
    ]
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64')
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    const pipe = new WebSocketPipe(socket, { role: 'server', pingIntervalMs: 100 })
    const before = socket.bytesRead
    await until(() => socket.bytesRead >= before + 3 * PONG_BYTES)
    const failed = failure(pipe)
    child.kill('SIGSTOP')
    expect((await failed).code).toBe('WEBSOCKET_PEER_SILENT')
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})
