import { Duplex } from 'node:stream'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  resolveWebSocketPipeOptions,
  type WebSocketPipeOptions,
} from '../../src/websocket/options.ts'
import { WebSocketReceiver } from '../../src/websocket/receiver.ts'
import { WebSocketSender } from '../../src/websocket/sender.ts'
import { frame, hex } from './peers.ts'

function sender(options: WebSocketPipeOptions): WebSocketSender {
  return new WebSocketSender(resolveWebSocketPipeOptions(new Duplex(), options))
}

function send(options: WebSocketPipeOptions, chunks: Buffer[]): Buffer[] {
  return sender(options).messages(chunks, Buffer.concat(chunks).length)
}

test('chunks of one batch leave as one message', () => {
  const chunks = [Buffer.from('ab'), Buffer.from('c'), Buffer.from('def')]
  const unmasked = Buffer.concat(send({ role: 'server' }, chunks))
  expect(unmasked.toString('hex')).toBe(hex('82 06 616263646566').toString('hex'))
  const zero = Buffer.concat(send({ role: 'client', mask: 'zero' }, chunks))
  expect(zero.toString('hex')).toBe(hex('82 86 00000000 616263646566').toString('hex'))
})

test('a random mask is a new one for each message and undone by the rule of RFC 6455', () => {
  const one = sender({ role: 'client', mask: 'random' })
  const keys = new Set<number>()
  for (let i = 0; i < 20; i++) {
    const [message = Buffer.alloc(0)] = one.messages([Buffer.from('payload')], 7)
    const key = message.readInt32LE(2)
    keys.add(key)
    expect(message).toEqual(frame({ opcode: 2, payload: Buffer.from('payload'), key }))
  }
  expect(keys.size).toBeGreaterThan(15)
})

test('large payload that is not masked leaves as the very buffers that were written', () => {
  const chunks = [Buffer.alloc(3000, 1), Buffer.alloc(4000, 2)]
  for (const options of [{ role: 'server' }, { role: 'client', mask: 'zero' }] as const) {
    const [header, ...payload] = send(options, chunks)
    expect(header).toHaveLength(options.role === 'server' ? 4 : 8)
    expect(payload[0]).toBe(chunks[0])
    expect(payload[1]).toBe(chunks[1])
  }
})

test('a message holds maxMessageBytes and not one more', () => {
  const messages = (bytes: number): string[] =>
    send({ role: 'server', maxMessageBytes: 4 }, [Buffer.alloc(bytes, 0xaa)]).map((message) =>
      message.toString('hex'),
    )
  expect(messages(3)).toEqual(['8203aaaaaa'])
  expect(messages(4)).toEqual(['8204aaaaaaaa'])
  expect(messages(5)).toEqual(['8204aaaaaaaa', '8201aa'])
})

test('any chunks arrive equal at the other role, in bounded messages, and stay unchanged', () => {
  const anyOptions = fc.record({
    role: fc.constantFrom('client' as const, 'server' as const),
    mask: fc.constantFrom('random' as const, 'zero' as const),
    maxMessageBytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constant(2 ** 20)),
  })
  const anyChunks = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 2000, max: 70_000 }).map((size) => new Uint8Array(size).fill(size)),
    ),
    { maxLength: 6 },
  )
  fc.assert(
    fc.property(anyOptions, anyChunks, (options, arrays) => {
      const chunks = arrays.map((bytes) => Buffer.from(bytes))
      const whole = Buffer.concat(arrays)
      const far = options.role === 'client' ? 'server' : 'client'
      const got: Buffer[] = []
      const receiver = new WebSocketReceiver(
        resolveWebSocketPipeOptions(new Duplex(), {
          role: far,
          maxFrameBytes: Math.max(125, options.maxMessageBytes),
        }),
        { onPayload: (bytes) => got.push(Buffer.from(bytes)), onPing() {}, onClose() {} },
      )
      if (whole.length > 0) receiver.push(Buffer.concat(send(options, chunks)))
      expect(Buffer.concat(got).equals(whole)).toBe(true)
      expect(Buffer.concat(chunks).equals(whole)).toBe(true)
      expect(receiver.inMessage).toBe(false)
    }),
    { numRuns: 60 },
  )
})

test('control frames are masked by clients', () => {
  const ping = sender({ role: 'client', mask: 'random' }).control(9, Buffer.from('hi'))
  expect(ping).toEqual(frame({ opcode: 9, payload: Buffer.from('hi'), key: ping.readInt32LE(2) }))
  expect(sender({ role: 'server' }).control(8, hex('03e8'))).toEqual(hex('88 02 03e8'))
})
