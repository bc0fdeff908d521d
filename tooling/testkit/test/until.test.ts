import { EventEmitter, getEventListeners } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { listening } from '../src/listening.ts'
import { RecordingLogger } from '../src/recording-logger.ts'
import { temporaryDirectory } from '../src/temporary-directory.ts'
import { until, untilEvent } from '../src/until.ts'

test('returns the first thing found, zero included', async () => {
  let looks = 0
  expect(await until(() => (++looks < 3 ? undefined : 0))).toBe(0)
  expect(looks).toBe(3)
})

test('fails with the name and what was thrown last', async () => {
  const check = () => {
    throw new Error('not there yet')
  }
  const failure = await until(check, { what: 'an answer', timeoutMs: 20 }).catch((e: unknown) => e)
  expect(failure).toMatchObject({
    code: 'TESTKIT_OUT_OF_TIME',
    limitMs: 20,
    message: 'not within 20 ms: an answer',
    cause: { message: 'not there yet' },
  })
})

test('an aborted wait rejects with the reason', async () => {
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(until(() => false, { signal })).rejects.toThrow('enough')
  await expect(untilEvent(new EventEmitter(), 'x', { signal })).rejects.toThrow('enough')
})

test('an event resolves with its arguments, a missing one has a bound', async () => {
  const emitter = new EventEmitter()
  const { signal } = new AbortController()
  const wait = untilEvent(emitter, 'moved', { signal })
  emitter.emit('moved', 1, 2)
  expect(await wait).toEqual([1, 2])
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  await expect(untilEvent(emitter, 'moved', { timeoutMs: 10 })).rejects.toMatchObject({
    code: 'TESTKIT_OUT_OF_TIME',
    limitMs: 10,
    message: 'no moved event within 10 ms',
  })
})

test('an error event rejects the wait for another event', async () => {
  const emitter = new EventEmitter()
  const wait = untilEvent(emitter, 'moved')
  emitter.emit('error', new Error('broken'))
  await expect(wait).rejects.toThrow('broken')
})

test('a listening server is disposed with its connections', async () => {
  const server = createServer()
  const at = await listening(server)
  const client = connect(at.port, at.host)
  await untilEvent(server, 'connection')
  expect(at.sockets.size).toBe(1)
  const closed = once(client, 'close')
  client.on('error', () => {})
  await at.close()
  await closed
  expect(server.listening).toBe(false)
  await at.close()
})

test('an authority with an IPv6 address has brackets', async () => {
  await using at = await listening(createServer(), '::1')
  expect(at.authority).toBe(`[::1]:${at.port}`)
})

test('a temporary directory goes with the block', () => {
  let path: string
  {
    using directory = temporaryDirectory()
    ;({ path } = directory)
    expect(readFileSync(directory.write('a/b.txt', 'text'), 'utf8')).toBe('text')
  }
  expect(existsSync(path)).toBe(false)
})

test('child loggers record into the same list with their fields', () => {
  const logger = new RecordingLogger()
  logger.child({ a: 1 }).child({ b: 2 }).warn({ c: 3 }, 'refused')
  expect(logger.find('refused')).toEqual([
    { level: 'warn', fields: { a: 1, b: 2, c: 3 }, message: 'refused' },
  ])
})
