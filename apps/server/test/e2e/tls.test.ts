// The real programs with TLS on every port: who gets in, what they see, and that bytes are the same.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, request } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { connect } from 'node:tls'
import { certificateAuthority } from '@proj/testkit/certificates'
import { connectRaw } from '@proj/testkit/raw-http'
import { spawned } from '@proj/testkit/spawned'
import { describe, expect, onTestFinished, test } from 'vitest'

import { adit, aditServer } from './programs.ts'
import { aditTo, clientCas, secureServer, type SecureServer } from './secure-server.ts'
import { httpService, tcpService } from './services.ts'

const hasCurl = spawnSync('curl', ['--version']).status === 0
const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const BULK_BYTES = 32 * 1024 * 1024

// Exit codes of curl's manual.
const CURL_RECEIVE_ERROR = 56

/** An HTTP service behind an agent that came by TLS. */
async function webTunnel(handler: (request: IncomingMessage, response: ServerResponse) => void) {
  const service = await httpService(handler)
  const server = await secureServer()
  const agent = aditTo(server, 'upstream', ['http', 'web', String(service.port), '--json'])
  const ready = await agent.event('ready')
  return { server, agent, ready }
}

function curl({ ca, ports }: SecureServer, ...args: readonly string[]) {
  const url = `https://web.localhost:${ports.proxy}/`
  const resolve = `web.localhost:${ports.proxy}:127.0.0.1`
  const own = ['-sS', '--noproxy', '*', '--cacert', ca, '--resolve', resolve]
  return spawned('curl', [...own, ...args, url])
}

/** A TCP service that an `adit access` reaches through both TLS ports. */
async function tcpTunnel(accept: (socket: Socket) => void) {
  const service = await tcpService(accept)
  const server = await secureServer()
  const agent = aditTo(server, 'upstream', ['tcp', 'pg', String(service.port), '--json'])
  await agent.event('ready')
  const access = aditTo(server, 'proxy', ['access', 'pg', '--bind', '127.0.0.1:0', '--json'])
  const ready = (await access.event('ready')) as {
    accesses: readonly { addresses: readonly string[] }[]
  }
  const port = Number(ready.accesses[0]?.addresses[0]?.split(':').at(-1))
  return { port, server, agent }
}

test('a visitor by https sees the service, the service sees https, the agent is told https', async ({
  skip,
}) => {
  skip(!hasCurl, 'no curl')
  const { server, ready } = await webTunnel(({ headers }, response) => {
    response.end([headers['x-forwarded-proto'], headers['x-forwarded-for']].join(' '))
  })
  const visitor = curl(server)
  expect(await visitor.exited).toMatchObject({ code: 0 })
  expect(visitor.stdout).toBe('https 127.0.0.1')
  expect(JSON.stringify(ready)).toContain(`https://web.localhost:${server.ports.proxy}`)
  const stranger = curl(server, '--cacert', server.write('x.pem', certificateAuthority('x').cert))
  expect((await stranger.exited).code).toBe(60)
})

describe('who may come', () => {
  test('an agent that does not trust the authority says so, and diagnose ends with 5', async () => {
    const server = await secureServer()
    const wrong = server.write('wrong.pem', certificateAuthority('Somebody').cert)
    const trust = [`--connect.tls.root-cas=${wrong}`, '--connect.tls.system-cas=false']
    const agent = aditTo(server, 'upstream', ['http', 'web', '1'], trust)
    expect(await agent.line(/DIAL_TLS_UNTRUSTED/)).toContain('Adit e2e authority')
    const asked = aditTo(server, 'upstream', ['connect', 'diagnose'], trust)
    expect(await asked.exited).toMatchObject({ code: 5 })
    expect(asked.stdout).toContain('DIAL_TLS_UNTRUSTED')
  })

  test('without a certificate nobody gets in where one is asked for, and learns why', async () => {
    const server = await secureServer([clientCas('upstream'), '--log.level', 'debug'])
    const agent = aditTo(server, 'upstream', ['http', 'web', '1'])
    expect(await agent.exited).toMatchObject({ code: 4 })
    expect(agent.stderr).toContain('a client certificate is required')
    const line = JSON.parse(await server.process.line(/certificate-missing/))
    expect(line).toMatchObject({ level: 'warn', listener: 'upstream', remoteAddress: '127.0.0.1' })

    const asked = aditTo(server, 'upstream', ['connect', 'diagnose'])
    expect(await asked.exited).toMatchObject({ code: 5 })
    expect(asked.stdout).toContain('DIAL_TLS_CLIENT_CERT')
    expect(asked.stdout).toContain('tls.cert')
  })

  test('a stranger with a certificate is refused, an agent with one of ours is in', async () => {
    const server = await secureServer([clientCas('upstream')])
    const trust = `--connect.tls.root-cas=${server.ca}`
    const strange = server.clientFlags(certificateAuthority('strangers'))
    const stranger = aditTo(server, 'upstream', ['http', 'web', '1'], [trust, ...strange])
    expect(await stranger.exited).toMatchObject({ code: 4 })
    expect(stranger.stderr).toContain('the client certificate is not accepted')

    const ours = [trust, ...server.clientFlags(server.authority)]
    const agent = aditTo(server, 'upstream', ['http', 'web', '1', '--json'], ours)
    await agent.event('ready')
    const asked = aditTo(server, 'upstream', ['connect', 'diagnose'], ours)
    expect(await asked.exited).toMatchObject({ code: 0 })
  })

  test('the proxy port may ask too: visitors and consumers then show one', async ({ skip }) => {
    skip(!hasCurl, 'no curl')
    const server = await secureServer([clientCas('proxy')])
    const none = curl(server, '-w', '%{http_code}')
    await none.exited
    expect(none.stdout).toMatch(/client certificate is required.*\n403$/)
    const [cert = '', key = ''] = server.clientFlags(server.authority).map((flag) => {
      return flag.slice(flag.indexOf('=') + 1)
    })
    const good = curl(server, '--cert', cert, '--key', key, '-o', '/dev/null', '-w', '%{http_code}')
    await good.exited
    expect(good.stdout).toBe('503') // in, but nobody offers `web`
  })

  test('an agent of plain http learns that the port speaks TLS', async () => {
    const server = await secureServer()
    const plain = adit([
      'http',
      'web',
      '1',
      '--connect.url',
      `http://localhost:${server.ports.upstream}`,
    ])
    // It goes on trying: a proxy in front of a server that restarts could say the same.
    expect(await plain.line(/this port speaks TLS: use https/)).toContain('trying again')
  })

  test('OpenSSL meets TLS 1.3 as the oldest version, and http/1.1', async ({ skip }) => {
    skip(!hasOpenssl, 'no openssl')
    const server = await secureServer(['--proxy.tls.min-version=TLSv1.3'])
    const client = (...args: readonly string[]) => {
      const at = `localhost:${server.ports.proxy}`
      const own = ['s_client', '-connect', at, '-CAfile', server.ca, '-verify_return_error']
      const started = spawned('openssl', [...own, ...args])
      started.write('', true)
      return started
    }
    const modern = client('-alpn', 'h2,http/1.1')
    await modern.exited
    expect(modern.stdout).toContain('TLSv1.3')
    expect(modern.stdout).toContain('ALPN protocol: http/1.1')
    expect(modern.stdout).toContain('Verify return code: 0 (ok)')
    const old = client('-tls1_2')
    expect((await old.exited).code).not.toBe(0)
    expect(old.stderr).toMatch(/alert protocol version/i)
  })

  test('status of both programs asks an admin port with TLS', async () => {
    const server = await secureServer()
    const url = ['--url', `https://localhost:${server.ports.admin}`]
    for (const program of [aditServer, adit]) {
      const shown = program(['status', ...url, '--ca', server.ca])
      expect(await shown.exited).toMatchObject({ code: 0 })
      expect(shown.stdout).toMatch(/^server +ready$/m)
      const distrustful = program(['status', ...url])
      expect(await distrustful.exited).toMatchObject({ code: 1 })
      expect(distrustful.stderr).toContain('--ca')
    }
  })
})

test('a server with TLS stops in good order with agents and idle visitors connected', async () => {
  const { server } = await webTunnel((_request, response) => response.end('ok'))
  const { authority, ports } = server
  const agent = new Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  const asked = request({
    host: 'localhost',
    port: ports.proxy,
    ca: authority.cert,
    headers: { host: 'web.localhost' },
    agent,
  }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  expect((await buffer(answer)).toString()).toBe('ok')
  server.process.kill('SIGTERM')
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

describe('bytes over TLS are the same bytes', () => {
  test('up and down over HTTP at once', async () => {
    const { server } = await webTunnel((incoming, response) => {
      pipeline(incoming, response).catch(() => {})
    })
    const sent = randomBytes(BULK_BYTES)
    const visitor = request({
      host: 'localhost',
      port: server.ports.proxy,
      ca: server.authority.cert,
      method: 'POST',
      headers: { host: 'web.localhost', 'content-length': sent.length },
      agent: false,
    })
    const answered = once(visitor, 'response') as Promise<[IncomingMessage]>
    visitor.end(sent)
    const [answer] = await answered
    expect((await buffer(answer)).equals(sent)).toBe(true)
  })

  test('both ways through an upgraded connection, and each direction ends by itself', async () => {
    const service = await tcpService((socket) => {
      socket.once('data', (head: Buffer) => {
        expect(head.toString()).toMatch(/upgrade: echo\r\n/i)
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n',
        )
        socket.pipe(socket)
      })
    })
    const server = await secureServer()
    const agent = aditTo(server, 'upstream', ['http', 'web', String(service.port), '--json'])
    await agent.event('ready')
    const { authority, ports } = server
    const asked = request({
      host: 'localhost',
      port: ports.proxy,
      ca: authority.cert,
      headers: { host: 'web.localhost', connection: 'upgrade', upgrade: 'echo' },
      agent: false,
    }).end()
    const [, socket, head] = (await once(asked, 'upgrade')) as [unknown, Socket, Buffer]
    expect(head).toHaveLength(0)
    const sent = randomBytes(BULK_BYTES)
    socket.allowHalfOpen = true
    const received = buffer(socket)
    socket.end(sent)
    expect((await received).equals(sent)).toBe(true)
  })

  test('both ways through adit access, and each direction ends by itself', async () => {
    const { port } = await tcpTunnel((socket) => void socket.pipe(socket))
    const sent = randomBytes(BULK_BYTES)
    const consumer = connectTcp({ host: '127.0.0.1', port, allowHalfOpen: true })
    const received = buffer(consumer)
    consumer.end(sent)
    expect((await received).equals(sent)).toBe(true)
  })

  test('a service that answers behind the end of its client is heard', async () => {
    const { port } = await tcpTunnel((socket) => {
      const heard: Buffer[] = []
      socket.on('data', (chunk: Buffer) => heard.push(chunk))
      socket.on('end', () => socket.end(`you said ${Buffer.concat(heard).toString()}`))
    })
    using connection = await connectRaw(port)
    await connection.send('all I have')
    connection.end()
    expect((await connection.readToEnd()).toString()).toBe('you said all I have')
    expect(await connection.ended).toBe('fin')
  })
})

describe('what breaks off is no end', () => {
  test('a service that resets is a reset at the consumer', async () => {
    const { port } = await tcpTunnel((socket) => {
      socket.write('half')
      socket.once('data', () => socket.resetAndDestroy())
    })
    using connection = await connectRaw(port)
    expect((await connection.read(4)).toString()).toBe('half')
    await connection.send('go')
    expect(await connection.ended).toBe('reset')
  })

  test('an answer up to the end of the connection that breaks off is an error to curl', async ({
    skip,
  }) => {
    skip(!hasCurl, 'no curl')
    let resolve: (response: ServerResponse) => void = () => {}
    const asked = new Promise<ServerResponse>((settle) => (resolve = settle))
    const { server } = await webTunnel((_request, response) => resolve(response))
    const visitor = curl(server, '--http1.0', '--no-buffer')
    const response = await asked
    response.socket?.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf\n')
    await visitor.line(/half/)
    response.socket?.resetAndDestroy()
    expect((await visitor.exited).code).toBe(CURL_RECEIVE_ERROR)
  })

  test('and so it is to a client that takes any end of TLS for a clean one', async () => {
    let resolve: (response: ServerResponse) => void = () => {}
    const asked = new Promise<ServerResponse>((settle) => (resolve = settle))
    const { server } = await webTunnel((_request, response) => resolve(response))
    const visitor = connect({
      host: 'localhost',
      port: server.ports.proxy,
      ca: server.authority.cert,
    })
    onTestFinished(() => void visitor.destroy())
    visitor.write('GET / HTTP/1.0\r\nhost: web.localhost\r\n\r\n')
    const response = await asked
    response.socket?.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf\n')
    await once(visitor, 'data')
    const ending = new Promise((settle) => {
      visitor.once('end', () => settle('end')).once('error', () => settle('error'))
    })
    visitor.resume()
    response.socket?.resetAndDestroy()
    expect(await ending).toBe('error')
  })

  test('a visitor that resets is gone for the service', async () => {
    let resolve: (exchange: [IncomingMessage, ServerResponse]) => void = () => {}
    const asked = new Promise<[IncomingMessage, ServerResponse]>((settle) => (resolve = settle))
    const { server } = await webTunnel((...exchange) => resolve(exchange))
    const visitor = request({
      host: 'localhost',
      port: server.ports.proxy,
      ca: server.authority.cert,
      headers: { host: 'web.localhost' },
      agent: false,
    }).end()
    visitor.on('error', () => {})
    const [incoming] = await asked
    const gone = new Promise((settle) => incoming.on('error', () => {}).once('close', settle))
    visitor.destroy()
    await gone
    expect(incoming.socket.destroyed).toBe(true)
  })
})
