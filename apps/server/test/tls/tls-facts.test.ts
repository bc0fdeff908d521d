// What TLS says of a peer reaches those who judge it, on every route, and the agent of a visitor.
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:https'

import { Agent, type StreamRecord } from '@proj/tunnel'
import { type AuthorizationRequest } from '@proj/tunnel/server'
import { certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, onTestFinished, test } from 'vitest'

import { Server } from '../../src/server.ts'
import { TlsFront } from '../../src/tls/tls-front.ts'
import { readTlsMaterial } from '../../src/tls/tls-material.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const authority = certificateAuthority()
const peer = authority.issue({
  name: 'peer',
  usage: 'client',
  hosts: ['peer.example', 'spiffe://office/peer'],
})
const certificate = {
  names: ['DNS:peer.example', 'URI:spiffe://office/peer'],
  commonName: 'peer',
  fingerprint256: new X509Certificate(peer.cert).fingerprint256,
  notAfter: Date.parse(new X509Certificate(peer.cert).validTo),
}

/** A server that asks for certificates on both ports, and what it was asked to judge. */
async function start() {
  using folder = temporaryDirectory()
  const { cert, key } = authority.issue({ name: 'server' })
  const material = await readTlsMaterial({
    cert: [folder.write('cert.pem', cert)],
    key: [folder.write('key.pem', key)],
    clientCas: folder.write('cas.pem', authority.cert),
    minVersion: 'TLSv1.2',
  })
  if (Array.isArray(material)) throw new Error(String(material[0]))
  const judged: AuthorizationRequest[] = []
  const listener = (name: string) => ({
    at: 'localhost:0',
    tls: new TlsFront({
      listener: name,
      material,
      handshakeTimeoutMs: 5_000,
      maxHandshakes: 10,
      logger: silent,
    }),
  })
  const server = await Server.start({
    proxy: listener('proxy'),
    upstream: listener('upstream'),
    admin: { at: 'localhost:0' },
    authorize: (asked) => {
      judged.push(asked)
      return { identity: 'x', tenant: '', permits: () => true }
    },
    software: 'test/1',
    logger: silent,
  })
  onTestFinished(() => server.destroy())
  const port = (name: 'proxy' | 'upstream') => server.listeners[name].bound[0]?.port ?? 0
  return { judged, port }
}

/** Asks for a WebSocket and closes whatever comes. */
async function knock(port: number, path: string, shown = peer): Promise<void> {
  const asked = request({
    host: 'localhost',
    port,
    path,
    ca: authority.cert,
    ...shown,
    agent: false,
    headers: {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    },
  })
  asked.on('error', () => {})
  asked.on('upgrade', (_answer, socket) => socket.destroy())
  asked.on('response', (answer) => answer.destroy())
  asked.end()
  await once(asked, 'close')
}

test('the certificate is there on the upstream route and on the connect route of both ports', async () => {
  const { judged, port } = await start()
  await knock(port('upstream'), '/piko/v1/upstream/web')
  await knock(port('upstream'), '/_piko/v1/tcp/pg')
  await knock(port('proxy'), '/_piko/v1/tcp/pg')
  expect(judged.map(({ action, certificate: shown }) => [action, shown])).toEqual([
    ['listen', certificate],
    ['connect', certificate],
    ['connect', certificate],
  ])
})

test.for([
  ['is empty', ''],
  ['has a line break', 'a\nb'],
  ['is written backwards', 'a\u202eb'],
  ['is very long', 'a'.repeat(201)],
] as const)('a subject that %s is no name', async ([, name]) => {
  const { judged, port } = await start()
  const odd = authority.issue({ name, usage: 'client', hosts: [] })
  await knock(port('upstream'), '/piko/v1/upstream/web', odd)
  expect(judged.map(({ certificate: shown }) => shown?.names)).toEqual([[]])
  expect(judged[0]?.certificate?.commonName).toBeUndefined()
})

test('the agent learns version and server name of a consumer that came by TLS', async () => {
  const { port } = await start()
  const tls = { ca: authority.cert, ...peer }
  const agent = new Agent({
    url: `https://localhost:${port('upstream')}`,
    connections: 1,
    connect: { tls, proxy: 'direct' },
  })
  onTestFinished(() => agent.destroy())
  let onRecord: (record: StreamRecord) => void = () => {}
  const came = new Promise<StreamRecord>((resolve) => (onRecord = resolve))
  const listener = agent.listenChannels('pg', { kind: 'tcp' }, (channel, record) => {
    if (record !== undefined) onRecord(record)
    channel.reset(0)
    return undefined
  })
  await listener.ready()
  await knock(port('proxy'), '/_piko/v1/tcp/pg')
  expect((await came).visitorTls).toBe('TLSv1.3 localhost')
})
