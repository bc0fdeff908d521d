import { createServer, type Socket } from 'node:net'

import { listening } from '@proj/testkit/listening'
import { assert, ipV6, property } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { forward } from '../../src/client/forward.ts'
import { proxyHeader } from '../../src/client/proxy-protocol.ts'
import { dial } from '../../src/client/sdk.ts'
import type { StreamRecord } from '../../src/protocol/stream-record.ts'
import { startServer } from '../peers.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'

function visitor(visitorAddress: string, extra: Partial<StreamRecord> = {}): StreamRecord {
  return { kind: 'tcp', endpoint: 'pg', visitorAddress, visitorPort: 56324, ...extra }
}

describe('version 1', () => {
  const rows: [name: string, record: StreamRecord | undefined, address: string, header: string][] =
    [
      ['IPv4', visitor('192.0.2.7'), '127.0.0.1', 'PROXY TCP4 192.0.2.7 127.0.0.1 56324 5432\r\n'],
      ['IPv6', visitor('2001:db8::7'), '::1', 'PROXY TCP6 2001:db8::7 ::1 56324 5432\r\n'],
      [
        'another family',
        visitor('192.0.2.7'),
        '::1',
        'PROXY TCP4 192.0.2.7 0.0.0.0 56324 5432\r\n',
      ],
      ['no record', undefined, '127.0.0.1', 'PROXY UNKNOWN\r\n'],
      ['no address', visitor('somewhere'), '127.0.0.1', 'PROXY UNKNOWN\r\n'],
    ]
  for (const [name, record, address, header] of rows) {
    it(`names the visitor: ${name}`, () => {
      expect(proxyHeader('v1', record, { address, port: 5432 }).toString()).toBe(header)
    })
  }
})

describe('version 2', () => {
  const rows: [name: string, record: StreamRecord | undefined, address: string, hex: string[]][] = [
    [
      'IPv4',
      visitor('192.0.2.7'),
      '127.0.0.1',
      [
        '21', // version 2, PROXY
        '11', // TCP over IPv4
        '000c', // 12 bytes follow
        'c0000207', // source address
        '7f000001', // destination address
        'dc04', // source port 56324
        '1538', // destination port 5432
      ],
    ],
    [
      'IPv6 with an identifier',
      visitor('2001:db8::7', { requestId: 'r1' }),
      '::ffff:127.0.0.1',
      [
        '21', // version 2, PROXY
        '21', // TCP over IPv6
        '0029', // 36 + 5 bytes follow
        '20010db8000000000000000000000007', // source address
        '00000000000000000000ffff7f000001', // destination address
        'dc04', // source port
        '1538', // destination port
        '05', // PP2_TYPE_UNIQUE_ID
        '0002', // 2 bytes
        '7231', // "r1"
      ],
    ],
    ['no record', undefined, '127.0.0.1', ['20', '00', '0000']], // LOCAL, nothing follows
  ]
  for (const [name, record, address, hex] of rows) {
    it(`names the visitor: ${name}`, () => {
      const header = proxyHeader('v2', record, { address, port: 5432 })
      expect(header.toString('hex')).toBe(SIGNATURE + hex.join(''))
    })
  }

  it('expands every way an IPv6 address is written', () => {
    assert(
      property(ipV6(), (address) => {
        const header = proxyHeader('v2', visitor(address), { address: '::1', port: 1 })
        const written = header.subarray(16, 32)
        const groups = Array.from({ length: 8 }, (_, at) =>
          written.readUInt16BE(at * 2).toString(16),
        )
        // The URL parser is an independent reader of the same grammar.
        expect(new URL(`http://[${groups.join(':')}]/`).host).toBe(
          new URL(`http://[${address}]/`).host,
        )
      }),
    )
  })
})

it('reaches the service ahead of the visitor, with the address the server saw', async () => {
  const server = await startServer()
  const service = createServer()
  const first = new Promise<string>((resolve) => {
    service.on('connection', (socket: Socket) => {
      let seen = ''
      socket.on('data', (chunk) => {
        seen += chunk.toString()
        if (seen.endsWith('hello')) resolve(seen)
      })
      socket.on('error', () => {})
    })
  })
  await using address = await listening(service)
  const { host, port } = address
  await using agent = new Agent({ url: server.url, connections: 1 })
  await forward(agent, 'pg', {
    kind: 'tcp',
    service: { host, port },
    proxyProtocol: 'v1',
  }).ready()
  const stream = await dial('pg', { url: server.url })
  stream.write('hello')
  expect(await first).toMatch(new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${port}\r\nhello$`))
  stream.destroy()
})

it('refuses a header on an http endpoint', () => {
  const agent = new Agent({ url: 'http://127.0.0.1:1' })
  const options = { kind: 'http', service: { path: '/x' }, proxyProtocol: 'v2' } as const
  expect(() => forward(agent, 'web', options)).toThrow(/proxyProtocol goes with kind tcp/)
})
