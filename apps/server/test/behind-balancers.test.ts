// Ports behind load balancers that name the client with the PROXY protocol: real HAProxy and nginx.
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

import { Agent } from '@proj/tunnel'
import { certificateAuthority } from '@proj/testkit/certificates'
import { freePorts } from '@proj/testkit/free-ports'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import type { RealProxy } from '@proj/testkit/real-proxy'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { tcpBalancer, type TcpBalancerName, tcpBalancerProgram } from '@proj/testkit/tcp-balancers'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { parseAddressBlock } from '@proj/config/address'
import { expect, onTestFinished, test } from 'vitest'

import { proxyProtocol } from '../src/proxy-protocol.ts'
import { TlsFront } from '../src/tls/tls-front.ts'
import { readTlsMaterial } from '../src/tls/tls-material.ts'
import { request, startServer, tunnel } from './tunnel-fixture.ts'

const BALANCERS: readonly TcpBalancerName[] = ['haproxy v1', 'haproxy v2', 'nginx v1']
const VISITOR = '127.77.0.9'
const from = ['127.0.0.0/8'].map(parseAddressBlock)

function behind(logger = new RecordingLogger()) {
  return { at: '127.0.0.1:0', proxyProtocol: proxyProtocol(from, { listener: 'proxy', logger }) }
}

async function started(name: TcpBalancerName, program: string, port: number): Promise<RealProxy> {
  const balancer = await tcpBalancer(name, program, port)
  onTestFinished(async () => await balancer.stop())
  return balancer
}

/** Where a visitor with the address VISITOR connects. */
function visitorTo(balancer: RealProxy) {
  const [host = '', port = ''] = balancer.authority.split(':')
  return { host, port: Number(port), localAddress: VISITOR }
}

const echoed = async () =>
  await tunnel({
    http: (req, res) => res.end(req.headers['x-forwarded-for']),
    server: { proxy: behind() },
  })

for (const name of BALANCERS) {
  test(`the proxy port knows its visitors behind ${name}`, async ({ skip }) => {
    const program = tcpBalancerProgram(name) ?? skip(`no ${name}`)
    await using path = await echoed()
    const balancer = await started(name, program, path.port)
    const answer = await exchangeRaw(visitorTo(balancer), request('GET /'))
    expect([answer.status, answer.body.toString()]).toEqual([200, VISITOR])
  })

  test(`the header of ${name} comes before TLS`, async ({ skip }) => {
    const program = tcpBalancerProgram(name) ?? skip(`no ${name}`)
    const authority = certificateAuthority()
    const pair = authority.issue({ name: 'server', hosts: ['web.localhost'] })
    using folder = temporaryDirectory()
    const material = await readTlsMaterial({
      minVersion: 'TLSv1.2',
      cert: [folder.write('cert.pem', pair.cert)],
      key: [folder.write('key.pem', pair.key)],
      clientCas: undefined,
      clientCrl: undefined,
    })
    if (Array.isArray(material)) throw new Error('no material')
    const logger = new RecordingLogger()
    const limits = { handshakeTimeoutMs: 60_000, maxHandshakes: 10 }
    const tls = new TlsFront({ listener: 'proxy', material, logger, ...limits })
    await using path = await tunnel({
      http: (req, res) =>
        res.end(
          [req.headers['x-forwarded-for'], req.headers['x-forwarded-proto']].map(String).join(' '),
        ),
      server: { proxy: { ...behind(), tls } },
    })
    const balancer = await started(name, program, path.port)
    const tcp = connect(visitorTo(balancer))
    const visitor = connectTls({
      socket: tcp,
      ca: authority.cert,
      servername: 'web.localhost',
    })
    onTestFinished(() => void visitor.destroy())
    await once(visitor, 'secureConnect')
    visitor.write(request('GET /', 'Connection: close'))
    let answer = ''
    for await (const chunk of visitor) answer += String(chunk)
    expect(answer).toContain(`${VISITOR} https`)
  })

  test(`the upstream port knows its agents behind ${name}`, async ({ skip }) => {
    const program = tcpBalancerProgram(name) ?? skip(`no ${name}`)
    const server = await startServer({}, [], undefined, undefined, { upstream: behind() })
    onTestFinished(() => server.destroy())
    const balancer = await started(name, program, server.listeners.upstream.bound[0]?.port ?? 0)
    await using agent = new Agent({ url: `http://${balancer.authority}`, connections: 1 })
    const listener = agent.listen('web', { kind: 'http' })
    await listener.ready()
    const [session] = server.registry.sessions({ tenant: '', name: 'web' })
    // Nothing else connects from there: the balancer has an address of its own.
    expect(session?.remoteAddress).toBe('127.0.0.1')
  })

  test(`a public port knows its visitors behind ${name}`, async ({ skip }) => {
    const program = tcpBalancerProgram(name) ?? skip(`no ${name}`)
    const range = await freePorts(1)
    const publicPorts = { ranges: [range], proxyProtocol: behind().proxyProtocol }
    const server = await startServer({}, [], undefined, undefined, { publicPorts })
    onTestFinished(() => server.destroy())
    const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
    await using agent = new Agent({ url, connections: 1 })
    const listener = agent.listen('pg', { kind: 'tcp', publicPort: range.first })
    listener.on('connection', (stream, record) => {
      stream.on('error', () => {})
      stream.end(`${record?.visitorAddress} ${record?.visitorPort}`)
    })
    await listener.ready()
    const balancer = await started(name, program, range.first)
    using visitor = await connectRaw(visitorTo(balancer))
    const said = (await visitor.readToEnd()).toString()
    expect(said).toBe(`${VISITOR} ${visitor.socket.localPort}`)
  })
}

test('a port behind load balancers serves no one who comes past them, and says so once', async () => {
  const logger = new RecordingLogger()
  await using path = await tunnel({ server: { proxy: behind(logger) } })
  for (let count = 0; count < 3; count += 1) {
    using visitor = await connectRaw(path.port)
    await visitor.send(request('GET /'))
    expect((await visitor.readToEnd()).toString()).toBe('')
  }
  const warnings = logger.records.filter(({ level }) => level === 'warn')
  expect(warnings).toMatchObject([
    {
      fields: {
        listener: 'proxy',
        remoteAddress: '127.0.0.1',
        why: 'the connection does not begin with a PROXY protocol header',
      },
    },
  ])
})

test.for([
  ['v1', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n')],
  ['v2', Buffer.from('0d0a0d0a000d0a515549540a21000000', 'hex')],
] as const)(
  'a port without load balancers names the setting for a header of %s',
  async ([, header]) => {
    const logger = new RecordingLogger()
    await using path = await tunnel({ http: (_req, res) => res.end(), logger })
    const asked = Buffer.concat([header, Buffer.from(request('GET /'))])
    const answers = [await exchangeRaw(path.port, asked), await exchangeRaw(path.port, asked)]
    for (const { status, headers, body } of answers) {
      expect([status, headers['adit-error']]).toEqual([400, 'proxy_header_rejected'])
      expect(body.toString()).toContain('proxy.proxy_protocol_from')
    }
    const [said] = logger.find('connection rejected: it begins with a PROXY protocol header')
    const hint = expect.stringContaining('proxy_protocol_from') as unknown
    expect(said).toMatchObject({
      level: 'warn',
      fields: { listener: 'proxy', remoteAddress: '127.0.0.1', hint },
    })
    // A request that is only malformed is not taken for one.
    const malformed = await exchangeRaw(path.port, 'PROXY\r\n\r\n')
    expect(malformed.headers['adit-error']).not.toBe('proxy_header_rejected')
  },
)
