import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { isTunnelError } from '../../src/errors.ts'
import {
  encodeStreamRecord,
  MAX_RECORD_BYTES,
  RECORD_KINDS,
  type StreamRecord,
  StreamRecordReader,
} from '../../src/protocol/stream-record.ts'
import { ascii, hex } from './hex.ts'

const TABLE: readonly { name: string; record: StreamRecord; bytes: Buffer }[] = [
  {
    name: 'the control stream',
    record: { kind: 'control', endpoint: '' },
    bytes: hex(`
      0004      # bytes that follow
      01 0001 00 # kind: control
    `),
  },
  {
    name: 'a tcp stream that names its endpoint',
    record: { kind: 'tcp', endpoint: 'pg' },
    bytes: hex(`
      0009
      01 0001 02              # kind: tcp
      02 0002 ${ascii('pg')}  # endpoint
    `),
  },
  {
    name: 'an http stream with everything known of the visitor',
    record: {
      kind: 'http',
      endpoint: 'web',
      visitorAddress: '2001:db8::1',
      visitorPort: 0xc001,
      visitorTls: 'TLSv1.3 web.example',
      requestId: 'r1',
    },
    bytes: hex(`
      0038
      01 0001 01                               # kind: http
      02 0003 ${ascii('web')}                  # endpoint
      03 000b ${ascii('2001:db8::1')}          # visitor's address
      04 0002 c001                             # visitor's port
      05 0013 ${ascii('TLSv1.3 web.example')}  # visitor's TLS
      06 0002 ${ascii('r1')}                   # request id
    `),
  },
]

const HOP: { readonly record: StreamRecord; readonly bytes: Buffer } = {
  record: {
    kind: 'tcp',
    endpoint: 'pg',
    hop: {
      tenant: 'acme',
      hops: 1,
      epoch: 0x1_0000_0002,
      node: 'n1',
      rules: Buffer.from('0102030405060708', 'hex'),
      agent: 'key',
    },
  },
  bytes: hex(`
    0035
    01 0001 02                   # kind: tcp
    02 0002 ${ascii('pg')}       # endpoint
    07 0004 ${ascii('acme')}     # tenant
    08 0001 01                   # links passed
    09 0008 0000000100000002     # epoch
    0a 0002 ${ascii('n1')}       # node
    0b 0008 0102030405060708     # digests of rules
    0c 0003 ${ascii('key')}      # agent
  `),
}

describe('the facts of a node', () => {
  test('are encoded as the table says, and read on a link', () => {
    expect(encodeStreamRecord(HOP.record).toString('hex')).toBe(HOP.bytes.toString('hex'))
    for (let at = 0; at <= HOP.bytes.length; at++) {
      const reader = new StreamRecordReader(true)
      const first = reader.push(HOP.bytes.subarray(0, at))
      expect((first ?? reader.push(HOP.bytes.subarray(at)))?.record).toEqual(HOP.record)
    }
  })

  test('change nothing when an agent or a visitor sends them', () => {
    const read = new StreamRecordReader().push(HOP.bytes)
    expect(read).toEqual({ record: { kind: 'tcp', endpoint: 'pg' }, rest: Buffer.alloc(0) })
    // Also when they are out of form.
    const bytes = hex('000d 01 0001 00 08 0000 09 0001 ff')
    bytes.writeUInt16BE(bytes.length - 2)
    expect(new StreamRecordReader().push(bytes)?.record).toEqual({ kind: 'control', endpoint: '' })
  })

  test('are absent from a record of a link without them, and later fields are skipped', () => {
    const bytes = hex('0007 01 0001 00 0d 0000')
    expect(new StreamRecordReader(true).push(bytes)?.record).toEqual({
      kind: 'control',
      endpoint: '',
    })
  })

  test.each([
    ['no epoch', '08 0001 01 0a 0001 6e'],
    ['no hops', '09 0008 0000000000000001 0a 0001 6e'],
    ['hops 0', '08 0001 00 09 0008 0000000000000001 0a 0001 6e'],
    ['hops of two bytes', '08 0002 0001 09 0008 0000000000000001 0a 0001 6e'],
    ['no node', '08 0001 01 09 0008 0000000000000001'],
    ['an epoch of 4 bytes', '08 0001 01 09 0004 00000001 0a 0001 6e'],
    ['an epoch above 2^53 - 1', '08 0001 01 09 0008 0020000000000000 0a 0001 6e'],
    ['half a digest', '08 0001 01 09 0008 0000000000000001 0a 0001 6e 0b 0004 00000000'],
    ['a control byte in the tenant', '07 0001 07 08 0001 01 09 0008 0000000000000001 0a 0001 6e'],
  ])('are refused on a link with %s', (_, fields) => {
    const bytes = hex(`0000 01 0001 02 02 0001 70 ${fields}`)
    bytes.writeUInt16BE(bytes.length - 2)
    expect(() => new StreamRecordReader(true).push(bytes)).toThrow(/./)
  })
})

describe.each(TABLE)('$name', ({ record, bytes }) => {
  test('is encoded as the table says', () => {
    expect(encodeStreamRecord(record).toString('hex')).toBe(bytes.toString('hex'))
  })

  test('is read back, with what follows it', () => {
    const read = new StreamRecordReader().push(Buffer.concat([bytes, Buffer.from('rest')]))
    expect(read).toEqual({ record, rest: Buffer.from('rest') })
  })

  test('is read byte by byte, and not before its last byte', () => {
    const reader = new StreamRecordReader()
    for (const byte of bytes.subarray(0, -1)) expect(reader.push(Buffer.of(byte))).toBeUndefined()
    expect(reader.push(bytes.subarray(-1))).toEqual({ record, rest: Buffer.alloc(0) })
  })

  test('is read when cut in two anywhere', () => {
    for (let at = 0; at <= bytes.length; at++) {
      const reader = new StreamRecordReader()
      const first = reader.push(bytes.subarray(0, at))
      expect((first ?? reader.push(bytes.subarray(at)))?.record).toEqual(record)
    }
  })
})

const REFUSED: readonly (readonly [string, string])[] = [
  ['one byte more than the limit', '1001'],
  ['a field header cut short', '0006  01 0001 02  02 00'],
  ['a field longer than the record', '0006  01 0001 02  02 ff'],
  ['a field cut short', `0008  01 0001 02  02 0002 ${ascii('p')}`],
  ['nothing', '0000'],
  ['no kind', `0005  02 0002 ${ascii('pg')}`],
  ['a kind of a later version', `0009  01 0001 03  02 0002 ${ascii('pg')}`],
  ['a kind of no bytes', `0008  01 0000  02 0002 ${ascii('pg')}`],
  ['a kind of two bytes', `000a  01 0002 0202  02 0002 ${ascii('pg')}`],
  ['no endpoint', '0004  01 0001 02'],
  ['an empty endpoint', '0007  01 0001 01  02 0000'],
  ['a line feed in the endpoint', '0008  01 0001 02  02 0001 0a'],
  ['a NUL in the address', `000d  01 0001 02  02 0002 ${ascii('pg')}  03 0001 00`],
  ['DEL in the request id', `000d  01 0001 02  02 0002 ${ascii('pg')}  06 0001 7f`],
  ['a port of one byte', `000d  01 0001 02  02 0002 ${ascii('pg')}  04 0001 50`],
]

test.each(REFUSED)(
  '%s is refused with TUNNEL_RECORD_INVALID, whole and byte by byte',
  (_, text) => {
    const bytes = hex(text)
    const byteByByte = (): void => {
      const reader = new StreamRecordReader()
      for (const byte of bytes) reader.push(Buffer.of(byte))
    }
    for (const feed of [() => new StreamRecordReader().push(bytes), byteByByte]) {
      expect(thrownBy(feed)).toMatchObject({ code: 'TUNNEL_RECORD_INVALID' })
    }
  },
)

test('fields of unknown type are skipped wherever they stand', () => {
  const bytes = hex(`
    0017
    ff 0000                 # unknown, empty
    01 0001 02
    07 0004 deadbeef        # unknown
    02 0002 ${ascii('pg')}
    80 0001 00              # unknown
  `)
  expect(new StreamRecordReader().push(bytes)?.record).toEqual({ kind: 'tcp', endpoint: 'pg' })
})

test('a record may be as long as the limit, and no byte longer', () => {
  // kind takes 4 bytes, the endpoint 3 and its text
  const longest = { kind: 'tcp', endpoint: 'e'.repeat(MAX_RECORD_BYTES - 7) } as const
  const bytes = encodeStreamRecord(longest)
  expect(bytes.length).toBe(2 + MAX_RECORD_BYTES)
  expect(new StreamRecordReader().push(bytes)?.record).toEqual(longest)
  const longer = { kind: 'tcp', endpoint: `${longest.endpoint}e` } as const
  expect(
    isTunnelError(
      thrownBy(() => encodeStreamRecord(longer)),
      'TUNNEL_RECORD_INVALID',
    ),
  ).toBe(true)
})

test('any record arrives equal, however it is cut', () => {
  const word = fc.stringMatching(/^[\x21-\x7e\u00e4\u4e2d]{1,40}$/)
  const records = fc.record(
    {
      kind: fc.constantFrom(...RECORD_KINDS),
      endpoint: word,
      visitorAddress: word,
      visitorPort: fc.integer({ min: 0, max: 65_535 }),
      visitorTls: word,
      requestId: word,
    },
    { requiredKeys: ['kind', 'endpoint'] },
  )
  fc.assert(
    fc.property(records, fc.uint8Array({ maxLength: 40 }), fc.nat(300), (record, rest, cut) => {
      const bytes = Buffer.concat([encodeStreamRecord(record), rest])
      const reader = new StreamRecordReader()
      const at = Math.min(cut, bytes.length)
      const early = reader.push(bytes.subarray(0, at))
      const read = early ?? reader.push(bytes.subarray(at))
      const behind = early === undefined ? 0 : bytes.length - at
      expect(read?.record).toEqual(record)
      expect(read?.rest.length).toBe(rest.length - behind)
    }),
  )
})

test('any bytes are a record, too few, or refused with a coded error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const error = thrownBy(() => new StreamRecordReader().push(Buffer.from(bytes)))
      expect(error === undefined || isTunnelError(error, 'TUNNEL_RECORD_INVALID')).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}
