// The tables of the README must have the values of the code and the messages that a user gets.
import { readFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { scriptedPeer } from '@proj/testkit/scripted-peer'
import { describe, expect, it, onTestFinished } from 'vitest'

import {
  BACKOFF_LIMITS,
  DIAL_ERRORS,
  DIAL_LIMITS,
  dialWebSocket,
  WEBSOCKET_LIMITS,
  type DialOptions,
} from '../src/index.ts'
import { connectProxy } from './connect-proxy.ts'
import { failure } from './failure.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
/** Rows of the tables in the README, with trimmed cells. */
const rows = readme
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )

describe('the README', () => {
  it('has a row for every error code, with the values of the code', () => {
    const documented = rows.filter(([code = '']) => code.startsWith('`DIAL_'))
    const wanted = Object.entries(DIAL_ERRORS).map(([code, { meaning, retry, kind }]) => [
      `\`${code}\``,
      meaning,
      retry,
      kind,
    ])
    expect(documented).toEqual(wanted)
  })

  it('has a row for every limit, with its default and range', () => {
    const limits = { ...DIAL_LIMITS, ...WEBSOCKET_LIMITS, ...BACKOFF_LIMITS }
    for (const [name, { default: value, min, max, orInfinity }] of Object.entries(limits)) {
      const row = rows.find(([cell = '']) => cell.split(/[`.]/).includes(name)) ?? []
      const highest = max === 2 ** 31 - 1 ? '2^31-1' : String(max)
      const range = `${min} to ${orInfinity ? 'Infinity' : highest}`
      expect([name, row[2], row[3]]).toEqual([
        name,
        String(value),
        max === Infinity ? `${min} or more` : range,
      ])
    }
  })

  it('has the messages that a user gets', async () => {
    const ours = rows.filter((row) => row.length === 3 && /^DIAL_\w+: /.test(row[2] ?? ''))
    const seen: string[] = []
    for (const [, make] of Object.entries(MISTAKES)) seen.push(await make())
    expect(ours.map(([mistake = '']) => mistake)).toEqual(Object.keys(MISTAKES))
    expect(ours.map((row) => row[2])).toEqual(seen)
  })
})

const authority = certificateAuthority('mitmproxy')

/** Dials through `proxy.corp`, and returns the message with the ports of the README. */
async function message(scheme: string, port: number, options: DialOptions = {}): Promise<string> {
  const { code, message: text } = await failure(
    dialWebSocket('wss://tunnel.example.com/', {
      proxy: `${scheme}proxy.corp:${port}`,
      lookup: async () => [{ address: '127.0.0.1', family: 4 }],
      ...options,
    }),
  )
  return `${code}: ${text.replaceAll(`:${port}`, ':3128').replaceAll('127.0.0.1', '10.0.0.5')}`
}

/** A proxy that answers every CONNECT with a status. */
async function answering(head: string): Promise<number> {
  const peer = await scriptedPeer(async ({ readUntil, send }) => {
    await readUntil('\r\n\r\n')
    send(`HTTP/1.1 ${head}\r\n\r\n`)
  })
  return peer.port
}

async function tlsPort(): Promise<number> {
  const server = createTlsServer(authority.issue({ name: 'x', hosts: ['tunnel.example.com'] }))
  server.on('tlsClientError', () => {})
  const peer = await listening(server)
  onTestFinished(() => peer.close())
  return peer.port
}

const MISTAKES: Readonly<Record<string, () => Promise<string>>> = {
  'no password for the proxy': async () =>
    message('http://', await answering('407 Proxy Authentication Required')),
  'wrong password for the proxy': async () =>
    message('http://alice:no@', await answering('407 Proxy Authentication Required')),
  'the proxy forbids the port': async () => message('http://', await answering('403 Forbidden')),
  'the proxy does not know the server': async () =>
    message('http://', await answering('503 Service Unavailable')),
  'the proxy is not there': async () => message('http://', 1),
  '`http://` for a TLS proxy port': async () => message('http://', await tlsPort()),
  '`https://` for a plain proxy port': async () => {
    const peer = await scriptedPeer(
      ({ socket }) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    )
    return message('https://', peer.port)
  },
  'an HTTP proxy as `socks5h://`': async () => {
    const peer = await scriptedPeer(() => {})
    return message('socks5h://', peer.port, { timeouts: { proxyMs: 100 } })
  },
  'no password for a SOCKS proxy': async () => {
    const peer = await scriptedPeer(({ send }) => send(Buffer.from([5, 0xff])))
    return message('socks5h://', peer.port)
  },
  'a login portal': async () =>
    message('http://', await answering('302 Found\r\nLocation: http://login.corp/')),
  'TLS inspection': async () => {
    const port = await tlsPort()
    const proxy = await connectProxy({ forward: port })
    return message('http://', proxy.port)
  },
}
