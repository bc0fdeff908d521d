import { expect, test } from 'vitest'
import { isWebSocketPipeError } from '../../src/websocket/errors.ts'
import { frameHeaderBytes, FrameHeaderReader, writeFrameHeader } from '../../src/websocket/frame.ts'
import { hex } from './peers.ts'

interface Header {
  readonly fin: boolean
  readonly opcode: number
  readonly masked: boolean
  readonly key: number
  readonly payloadBytes: number
}

const KEY = 0x44332211
const plain = { fin: true, opcode: 2, masked: false, key: 0, payloadBytes: 0 }
const secret = { ...plain, masked: true, key: KEY }

/** name, bytes, meaning. Those that are not fragments are also what is written. */
const HEADERS: readonly (readonly [string, string, Header])[] = [
  ['an empty binary message', '82 00', plain],
  ['the longest 7-bit length', '82 7d', { ...plain, payloadBytes: 125 }],
  ['the shortest 16-bit length', '82 7e 007e', { ...plain, payloadBytes: 126 }],
  ['the longest 16-bit length', '82 7e ffff', { ...plain, payloadBytes: 65_535 }],
  ['the shortest 64-bit length', '82 7f 0000000000010000', { ...plain, payloadBytes: 65_536 }],
  ['a length over 32 bits', '82 7f 0000000100000002', { ...plain, payloadBytes: 2 ** 32 + 2 }],
  ['an empty masked message', '82 80 11223344', secret],
  ['a masked 16-bit length', '82 fe 1000 11223344', { ...secret, payloadBytes: 4096 }],
  [
    'a masked 64-bit length',
    '82 ff 0000000000100000 11223344',
    { ...secret, payloadBytes: 2 ** 20 },
  ],
  ['a zero key', '82 81 00000000', { ...plain, masked: true, payloadBytes: 1 }],
  ['text', '81 05', { ...plain, opcode: 1, payloadBytes: 5 }],
  ['close', '88 02', { ...plain, opcode: 8, payloadBytes: 2 }],
  ['ping', '89 00', { ...plain, opcode: 9 }],
  ['the longest pong', '8a 7d', { ...plain, opcode: 10, payloadBytes: 125 }],
  ['a first fragment', '02 7e 1000', { ...plain, fin: false, payloadBytes: 4096 }],
  ['a middle fragment', '00 01', { ...plain, fin: false, opcode: 0, payloadBytes: 1 }],
  ['a last fragment', '80 01', { ...plain, opcode: 0, payloadBytes: 1 }],
]

/** name, bytes, what the message says. */
const INVALID: readonly (readonly [string, string, RegExp])[] = [
  ['RSV1', 'c2 00', /reserved bit/],
  ['RSV2', 'a2 00', /reserved bit/],
  ['RSV3', '92 00', /reserved bit/],
  ['opcode 3', '83 00', /opcode 3 is reserved/],
  ['opcode 7', '87 00', /opcode 7 is reserved/],
  ['opcode 11', '8b 00', /opcode 11 is reserved/],
  ['opcode 15', '8f 00', /opcode 15 is reserved/],
  ['a fragmented ping', '09 00', /fragmented/],
  ['a fragmented close', '08 00', /fragmented/],
  ['a ping of 126 bytes', '89 7e 007e', /126 bytes, limit 125/],
  ['a close of 65536 bytes', '88 7f 0000000000010000', /65536 bytes, limit 125/],
  ['125 in 16 bits', '82 7e 007d', /length 125 takes 16 bits/],
  ['0 in 16 bits', '82 7e 0000', /length 0 takes 16 bits/],
  ['65535 in 64 bits', '82 7f 000000000000ffff', /length 65535 takes 64 bits/],
  ['the top bit of 64', '82 7f 8000000000000000', /top bit/],
  ['all 64 bits', '82 ff ffffffffffffffff 11223344', /top bit/],
]

function fields({ fin, opcode, masked, key, payloadBytes }: FrameHeaderReader): Header {
  return { fin, opcode, masked, key, payloadBytes }
}

test.each(HEADERS)('reads %s', (_name, text, header) => {
  const bytes = hex(text)
  const reader = new FrameHeaderReader()
  expect(reader.read(Buffer.concat([hex('ffff'), bytes, hex('ff')]), 2)).toBe(2 + bytes.length)
  expect(fields(reader)).toEqual(header)
  expect(reader.partial).toBe(false)
})

test.each(HEADERS)('reads %s byte by byte', (_name, text, header) => {
  const bytes = hex(text)
  const reader = new FrameHeaderReader()
  for (let i = 0; i < bytes.length - 1; i++) {
    expect(reader.read(bytes.subarray(i, i + 1), 0)).toBe(-1)
    expect(reader.partial).toBe(true)
  }
  expect(reader.read(bytes.subarray(-1), 0)).toBe(1)
  expect(fields(reader)).toEqual(header)
  expect(reader.partial).toBe(false)
})

test.each(HEADERS)('reads %s cut in two at every offset', (_name, text, header) => {
  const bytes = hex(text)
  for (let cut = 1; cut < bytes.length; cut++) {
    const reader = new FrameHeaderReader()
    expect(reader.read(bytes.subarray(0, cut), 0)).toBe(-1)
    expect(reader.partial).toBe(true)
    expect(reader.read(Buffer.concat([bytes.subarray(cut), hex('00')]), 0)).toBe(bytes.length - cut)
    expect(fields(reader)).toEqual(header)
  }
})

test.each(INVALID)('refuses %s, whole and byte by byte', (_name, text, message) => {
  const bytes = hex(text)
  const read = (): number => new FrameHeaderReader().read(bytes, 0)
  expect(read).toThrow(message)
  const reader = new FrameHeaderReader()
  for (let i = 0; i < bytes.length - 1; i++) reader.read(bytes.subarray(i, i + 1), 0)
  let thrown: unknown
  try {
    reader.read(bytes.subarray(-1), 0)
  } catch (error) {
    thrown = error
  }
  expect(isWebSocketPipeError(thrown, 'WEBSOCKET_FRAME_INVALID')).toBe(true)
})

test.each(HEADERS.filter(([, , header]) => header.fin))('writes %s', (_name, text, header) => {
  const target = Buffer.alloc(15, 0xee)
  const bytes = frameHeaderBytes(header.payloadBytes, header.masked)
  const key = header.masked ? header.key : undefined
  writeFrameHeader(target, 1, header.opcode, header.payloadBytes, key)
  expect(target.subarray(1, 1 + bytes).toString('hex')).toBe(hex(text).toString('hex'))
  expect(target[0]).toBe(0xee)
  expect(target.subarray(1 + bytes).every((byte) => byte === 0xee)).toBe(true)
})
