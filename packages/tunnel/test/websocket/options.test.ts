import { Duplex } from 'node:stream'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import {
  resolveWebSocketPipeOptions,
  WEBSOCKET_DEFAULTS,
  type WebSocketPipeOptions,
} from '../../src/websocket/options.ts'

const socket = new Duplex()

test('fills in every default and leaves the options of the caller alone', () => {
  const options: WebSocketPipeOptions = Object.freeze({ role: 'client' })
  expect(resolveWebSocketPipeOptions(socket, options)).toEqual({
    ...WEBSOCKET_DEFAULTS,
    role: 'client',
    mask: 'random',
    head: Buffer.alloc(0),
  })
})

test('masks with zero over TLS, at random elsewhere, and as told', () => {
  const tls = new TLSSocket(new Socket())
  expect(resolveWebSocketPipeOptions(tls, { role: 'client' }).mask).toBe('zero')
  expect(resolveWebSocketPipeOptions(tls, { role: 'client', mask: 'random' }).mask).toBe('random')
  expect(resolveWebSocketPipeOptions(socket, { role: 'client', mask: 'zero' }).mask).toBe('zero')
  tls.destroy()
})

test.each([
  ['pingIntervalMs', 1, 2 ** 31 - 1, true],
  ['missedPongs', 1, Number.MAX_SAFE_INTEGER, true],
  ['closeTimeoutMs', 1, 2 ** 31 - 1, false],
  ['maxMessageBytes', 1, 2 ** 31 - 1, false],
  ['maxFrameBytes', 125, Number.MAX_SAFE_INTEGER, true],
  ['maxIdleFramesPerSecond', 1, Number.MAX_SAFE_INTEGER, true],
  ['readBufferBytes', 1, 2 ** 31 - 1, false],
  ['writeBufferBytes', 1, 2 ** 31 - 1, false],
] as const)('%s takes %i to %i', (name, min, max, unlimited) => {
  const resolve = (value: number): number =>
    resolveWebSocketPipeOptions(socket, { role: 'server', [name]: value })[name]
  for (const value of [min, max]) expect(resolve(value)).toBe(value)
  expect(unlimited ? resolve(Infinity) : Infinity).toBe(Infinity)
  const wrong = [min - 1, max + 1, min + 0.5, Number.NaN, -Infinity]
  for (const value of unlimited ? wrong : [...wrong, Infinity]) {
    expect(() => resolve(value)).toThrow(RangeError)
    expect(() => resolve(value)).toThrow(name)
  }
})

test('refuses a role or a mask that is not a word of theirs', () => {
  const wrong = (options: unknown): (() => unknown) => {
    return () => resolveWebSocketPipeOptions(socket, options as WebSocketPipeOptions)
  }
  expect(wrong({ role: 'peer' })).toThrow(/role must be 'client' or 'server', got peer/)
  expect(wrong({})).toThrow(TypeError)
  expect(wrong({ role: 'client', mask: 'none' })).toThrow(/mask must be .* got none/)
})
