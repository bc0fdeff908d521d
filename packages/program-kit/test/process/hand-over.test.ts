import { EventEmitter, once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, onTestFinished, test } from 'vitest'

import {
  HandOverError,
  type HandOverHost,
  Predecessor,
  Successor,
} from '../../src/process/hand-over.ts'
import { UserError } from '../../src/process/exit-code.ts'

/** A successor that runs a script, with a limit that only a hanging one reaches. */
async function successor(script: string, timeoutMs = 60_000, endMs = 0): Promise<Successor> {
  const started = await Successor.start({
    command: [process.execPath, '-e', script],
    env: process.env,
    sockets: [],
    state: { secret: 'x' },
    timeoutMs,
    endMs,
    signal: new AbortController().signal,
  })
  onTestFinished(async () => await started.kill())
  return started
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const PREPARED = `process.on('message', ({ type }) => {
  if (type === 'begin') process.send({ type: 'prepared' })
  if (type === 'yours') YOURS
  if (type === 'alone') process.disconnect()
})`

test('a successor gets the sockets and the state, and is independent afterwards', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const handle: unknown = Reflect.get(server, '_handle')
  const { fd } = handle as { readonly fd: number }
  const script = `process.on('message', ({ type, v, sockets, state }) => {
    if (type === 'begin') {
      const { fd, name } = sockets[0]
      const isSocket = require('node:fs').fstatSync(fd).isSocket()
      const right = v === 1 && fd === 3 && name === 'web' && state.secret === 'x' && isSocket
      if (right && process.env.ADIT_HAND_OVER === '1') process.send({ type: 'prepared' })
      else process.exit(9)
    }
    if (type === 'yours') process.send({ type: 'ready' })
    if (type === 'alone') process.exit(0)
  })`
  const started = await Successor.start({
    command: [process.execPath, '-e', script],
    env: process.env,
    sockets: [{ fd, name: 'web' }],
    state: { secret: 'x' },
    timeoutMs: 60_000,
    signal: new AbortController().signal,
  })
  onTestFinished(async () => await started.kill())
  await started.takeOver()
  expect(isAlive(started.pid)).toBe(true)
  started.release()
})

test('a successor that ends before it is prepared is an error with its exit code', async () => {
  const failure = await successor('process.exit(7)').catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(HandOverError)
  expect(failure).toMatchObject({
    code: 'HAND_OVER_FAILED',
    message: 'the successor ended (exit code 7)',
  })
})

test('a successor that ends after it was told to take over is an error', async () => {
  const started = await successor(PREPARED.replace('YOURS', 'process.exit(8)'))
  await expect(started.takeOver()).rejects.toThrow('exit code 8')
})

test('a successor that never is prepared is ended', async () => {
  const hangs = successor('setInterval(() => {}, 1e6)', 3_000)
  await expect(hangs).rejects.toThrow('took longer than 3000 ms')
})

test('a successor that never is ready is ended', async () => {
  const started = await successor(PREPARED.replace('YOURS', '{}'), 10_000)
  await expect(started.takeOver()).rejects.toThrow('took longer than 10000 ms')
  expect(isAlive(started.pid)).toBe(false)
})

test('a successor that is ended gets time to finish what it has begun', async () => {
  using directory = temporaryDirectory()
  const file = join(directory.path, 'finished')
  const script = PREPARED.replace('YOURS', 'process.exit(8)')
  const started = await successor(
    `process.on('SIGTERM', () => { require('node:fs').writeFileSync(FILE, ''); process.exit() });${script}`.replace(
      'FILE',
      JSON.stringify(file),
    ),
    60_000,
    60_000,
  )
  await started.kill()
  expect(existsSync(file)).toBe(true)
})

test('a successor that does not finish in that time is killed', async () => {
  const script = `process.on('SIGTERM', () => {});${PREPARED.replace('YOURS', '{}')}`
  const started = await successor(script, 60_000, 50)
  await started.kill()
  expect(isAlive(started.pid)).toBe(false)
})

test('a program that does not exist is an error', async () => {
  const started = Successor.start({
    command: ['/nonexistent/program'],
    env: {},
    sockets: [],
    state: {},
    timeoutMs: 60_000,
    signal: new AbortController().signal,
  })
  await expect(started).rejects.toThrow('cannot be started')
})

test('an aborted hand-over ends the successor with the reason', async () => {
  const aborting = new AbortController()
  const started = Successor.start({
    command: [process.execPath, '-e', 'setInterval(() => {}, 1e6)'],
    env: process.env,
    sockets: [],
    state: {},
    timeoutMs: 60_000,
    signal: aborting.signal,
  })
  aborting.abort(new Error('told to stop'))
  await expect(started).rejects.toThrow('told to stop')
})

/** The channel of a successor, without the process around it. */
class Channel extends EventEmitter implements HandOverHost {
  connected = true
  readonly sent: unknown[] = []
  send(message: unknown): boolean {
    return this.sent.push(message) > 0
  }
  disconnect(): void {
    this.connected = false
    this.emit('disconnect')
  }
}

/** The channel to a process that was killed a moment ago, as Node has it: EPIPE, and later the end. */
class BrokenChannel extends Channel {
  override send(_: unknown, onSent?: (error: Error) => void): boolean {
    const error = new Error('write EPIPE')
    setImmediate(() => {
      if (onSent === undefined) this.emit('error', error)
      else onSent(error)
      this.disconnect()
    })
    return true
  }
}

test('a successor goes on when the process before was killed as it became ready', async () => {
  const channel = new BrokenChannel()
  const received = Predecessor.receive(channel, { ADIT_HAND_OVER: '1' })
  channel.emit('message', { type: 'begin', v: 1, sockets: [], state: {} })
  const predecessor = await received
  await expect(predecessor?.ready()).resolves.toBe(undefined)
  expect(channel.connected).toBe(false)
})

test('a process without the variable is no successor', async () => {
  expect(await Predecessor.receive(new Channel(), {})).toBe(undefined)
})

test('a successor whose channel was closed before it looked ends, and its variable is removed', async () => {
  const alone = new Channel()
  alone.connected = false
  const env: Record<string, string | undefined> = { ADIT_HAND_OVER: '1' }
  await expect(Predecessor.receive(alone, env)).rejects.toBeInstanceOf(UserError)
  expect(env).toEqual({})
})

test('a successor of another version ends, and its variable is removed', async () => {
  const env: Record<string, string | undefined> = { ADIT_HAND_OVER: '2' }
  await expect(Predecessor.receive(new Channel(), env)).rejects.toThrow('has version 2')
  expect(env).toEqual({})
})

test('a successor ends when the process before it is gone before it was told to take over', async () => {
  const channel = new Channel()
  const receiving = Predecessor.receive(channel, { ADIT_HAND_OVER: '1' })
  channel.emit('message', { type: 'begin', v: 1, sockets: [], state: 7 })
  const before = await receiving
  expect(before?.state).toBe(7)
  const preparing = before?.prepared()
  expect(channel.sent).toEqual([{ type: 'prepared' }])
  channel.disconnect()
  await expect(preparing).rejects.toThrow('gone')
})

test('a successor that was told to take over goes on without the process before it', async () => {
  const channel = new Channel()
  const receiving = Predecessor.receive(channel, { ADIT_HAND_OVER: '1' })
  channel.emit('message', { type: 'begin', v: 1, sockets: [], state: 7 })
  const before = await receiving
  const preparing = before?.prepared()
  channel.emit('message', { type: 'yours' })
  await preparing
  channel.disconnect()
  await before?.ready()
  expect(channel.connected).toBe(false)
})
