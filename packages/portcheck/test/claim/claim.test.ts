import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'

import { claim } from '../../src/claim/claim-port.ts'
import { type Claim, claimPlan, type ClaimOptions } from '../../src/claim/claim.ts'
import { findFree } from '../../src/claim/find-free.ts'
import { planWant } from '../../src/claim/plan.ts'
import { probe } from '../../src/probe/probe.ts'
import { readWant, type Want } from '../../src/claim/wanted-address.ts'

const REQUEST = 'GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n'

describe('claim', () => {
  it('holds a port so that a second claim fails with PORTCHECK_PORT_BUSY', async () => {
    const first = await held('127.0.0.1:0')
    await expect(claim(`127.0.0.1:${first.port}`)).rejects.toMatchObject({
      name: 'PortcheckError',
      code: 'PORTCHECK_PORT_BUSY',
      errno: 'EADDRINUSE',
      address: '127.0.0.1',
      port: first.port,
      retryable: true,
      cause: { code: 'EADDRINUSE', syscall: 'listen' },
    })
  })

  it('listens dual-stack on one socket for a bare port', async () => {
    const { endpoints, port, warnings } = await held(0)
    expect(endpoints).toEqual([{ host: '::', port, dual: true }])
    expect(warnings).toEqual([])
  })

  it('opens both loopbacks on one port for localhost', async () => {
    const { endpoints, port } = await held('localhost:0')
    expect(endpoints).toEqual([
      { host: '127.0.0.1', port, dual: false },
      { host: '::1', port, dual: false },
    ])
  })

  it('leaves nothing open when the second of two sockets is held', async () => {
    const other = await held(`[::1]:${await quietPort()}`)
    await expect(claim(`localhost:${other.port}`)).rejects.toMatchObject({
      code: 'PORTCHECK_PORT_BUSY',
      address: '::1',
    })
    const again = await held(`127.0.0.1:${other.port}`)
    expect(again.port).toBe(other.port)
  })

  it.skipIf(!hasForeignSockets)('warns of a program that localhost may reach', async () => {
    await using foreign = await foreignSocket({ host: '::1' })
    const { warnings } = await held(`127.0.0.1:${foreign.port}`)
    expect(warnings).toMatchObject([{ code: 'PC101', holder: { pid: foreign.pid } }])
  })

  it('does not warn about its own sockets', async () => {
    const other = await held(`[::1]:${await quietPort()}`)
    expect((await held(`127.0.0.1:${other.port}`)).warnings).toEqual([])
  })

  it('fails with PORTCHECK_ADDRESS_INVALID for a name that does not resolve', async () => {
    await expect(claim('no-such-name.invalid:80')).rejects.toMatchObject({
      code: 'PORTCHECK_ADDRESS_INVALID',
      address: 'no-such-name.invalid',
    })
  })

  it('frees the port at once when closed, destroyed or disposed', async () => {
    const first = await claim('127.0.0.1:0')
    const { port } = first
    await first.close()
    const second = await claim({ host: '127.0.0.1', port })
    second.destroy()
    {
      await using third = await claim({ host: '127.0.0.1', port })
      expect(third.port).toBe(port)
    }
    await held({ host: '127.0.0.1', port })
  })

  it('takes a port whose old connections were closed by the previous listener', async () => {
    const first = await held('127.0.0.1:0')
    first.serve((socket) => socket.end())
    await text(client(first.port)) // leaves the first one's side in TIME_WAIT
    await first.close()
    const { bind, warnings } = await probe(`127.0.0.1:${first.port}`)
    expect([bind, warnings]).toEqual(['free', []])
    await held(`127.0.0.1:${first.port}`)
  })

  it('opens one port in both families where one dual-stack socket is not safe', async () => {
    for (const platform of ['darwin', 'freebsd'] as const) {
      const claimed = await claimPlan(await planWant(readWant(0), platform))
      onTestFinished(() => claimed.destroy())
      const { port } = claimed
      expect(claimed.endpoints).toEqual([
        { host: '0.0.0.0', port, dual: false },
        { host: '::', port, dual: false },
      ])
    }
  })

  it('fails with PORTCHECK_CLAIM_CLOSED when used after its end or twice', async () => {
    const ended = await claim('127.0.0.1:0')
    await ended.close()
    const closed = expect.objectContaining({ code: 'PORTCHECK_CLAIM_CLOSED' })
    expect(() => ended.adopt(createServer())).toThrow(closed)
    expect(() => ended.fd()).toThrow(closed)
    const served = await held('127.0.0.1:0')
    served.serve((socket) => socket.destroy())
    expect(() => served.adopt(createServer())).toThrow(closed)
  })

  it.each([
    ['backlog', 0],
    ['backlog', 65_536],
    ['maxEarlyConnections', -1],
    ['maxEarlyConnections', 65_537],
    ['earlyTimeoutMs', 0],
    ['earlyTimeoutMs', 600_001],
    ['earlyTimeoutMs', Number.NaN],
  ])('rejects %s of %d by name', async (option, value) => {
    await expect(claim('127.0.0.1:0', { [option]: value })).rejects.toThrow(
      new RegExp(`^${option} must be .* got ${value}$`),
    )
  })

  it.each([1, 65_535])('accepts a backlog of %d', async (backlog) => {
    expect((await held('127.0.0.1:0', { backlog })).port).toBeGreaterThan(0)
  })

  it.skipIf(process.platform !== 'linux')('has a queue of 4096 without one', async () => {
    const { port } = await held('127.0.0.1:0')
    const { stdout, error } = spawnSync('ss', ['-Hltn', `sport = :${port}`])
    if (error !== undefined) return // no ss
    const [, , sendQueue] = String(stdout).split(/\s+/)
    const longest = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'))
    expect(Number(sendQueue)).toBe(Math.min(4096, longest))
  })
})

describe('early clients', () => {
  it('are served in order after an http server adopts the claim', async () => {
    const claimed = await held('127.0.0.1:0')
    const first = client(claimed.port)
    first.end(REQUEST)
    await waiting(claimed, 1)
    const second = client(claimed.port)
    second.end(REQUEST)
    await waiting(claimed, 2)
    let count = 0
    const server = createHttp((_, response) => response.end(`hello ${(count += 1)}`))
    adopt(claimed, server)
    expect(await text(first)).toMatch(/hello 1$/)
    expect(await text(second)).toMatch(/hello 2$/)
    const late = client(claimed.port)
    late.end(REQUEST)
    expect(await text(late)).toMatch(/hello 3$/)
  })

  it('are served by a net server that reads late', async () => {
    const claimed = await held('127.0.0.1:0')
    const early = client(claimed.port)
    early.end('early')
    await waiting(claimed, 1)
    const server = createServer()
    const accepted = once(server, 'connection')
    adopt(claimed, server)
    const [socket] = await accepted
    expect(socket).toMatchObject({ allowHalfOpen: false })
    await new Promise((resolve) => setImmediate(resolve))
    expect(await text(socket)).toBe('early')
  })

  it('are served by an https server', async () => {
    const authority = certificateAuthority()
    const claimed = await held('127.0.0.1:0')
    const early = connectTls({
      port: claimed.port,
      host: '127.0.0.1',
      ca: authority.cert,
      servername: 'localhost',
    })
    // Without an end: bytes of it that come after the server has closed would reset the answer.
    early.write(REQUEST)
    await waiting(claimed, 1)
    const server = createHttps(authority.issue({ name: 'localhost' }), (_, response) =>
      response.end('secure'),
    )
    adopt(claimed, server)
    expect(await text(early)).toMatch(/secure$/)
  })

  it('are served by an http2 server', async () => {
    const claimed = await held('127.0.0.1:0')
    const session = connectHttp2(`http://127.0.0.1:${claimed.port}`)
    onTestFinished(() => session.destroy())
    const stream = session.request({ ':path': '/' })
    await waiting(claimed, 1)
    adopt(
      claimed,
      createHttp2((_, response) => response.end('two')),
    )
    expect(await text(stream)).toBe('two')
  })

  it('are upgraded by an http server, as WebSocket servers need it', async () => {
    const claimed = await held('127.0.0.1:0')
    const early = client(claimed.port)
    early.end('GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhi')
    await waiting(claimed, 1)
    const server = createHttp()
    server.on('upgrade', (_, socket: Socket, head: Buffer) => {
      socket.write(`HTTP/1.1 101 Switching\r\n\r\n${head.toString()}`)
      socket.pipe(socket)
    })
    adopt(claimed, server)
    expect(await text(early)).toMatch(/\r\n\r\nhi$/)
  })

  it('are watched for slow requests by the adopting http server', async () => {
    const claimed = await held('127.0.0.1:0')
    const slow = client(claimed.port)
    slow.write('GET / HTTP/1.1\r\nx: ')
    await waiting(claimed, 1)
    const server = createHttp({ headersTimeout: 1, connectionsCheckingInterval: 5 })
    adopt(claimed, server)
    expect(await text(slow)).toMatch(/^HTTP\/1.1 408/)
  })

  it('are disconnected from the 65th on, and the first 64 are kept', async () => {
    const claimed = await held('127.0.0.1:0')
    const kept = Array.from({ length: 64 }, () => client(claimed.port))
    await waiting(claimed, 64)
    const extra = client(claimed.port)
    await once(extra, 'close')
    expect(claimed.waiting).toBe(64)
    let served = 0
    claimed.serve((socket) => {
      served += 1
      socket.end()
    })
    expect(served).toBe(64)
    await Promise.all(kept.map(async (socket) => await text(socket)))
  })

  it('are disconnected when no server serves them in time', async () => {
    const claimed = await held('127.0.0.1:0', { earlyTimeoutMs: 1 })
    const early = client(claimed.port)
    await once(early, 'close')
    expect(claimed.waiting).toBe(0)
  })

  it('are removed when they disconnect', async () => {
    const claimed = await held('127.0.0.1:0')
    const early = client(claimed.port)
    await waiting(claimed, 1)
    early.destroy()
    await waiting(claimed, 0)
    let served = 0
    claimed.serve(() => {
      served += 1
    })
    expect(served).toBe(0)
  })

  it('are disconnected when the claim is closed', async () => {
    const claimed = await held('127.0.0.1:0')
    const early = client(claimed.port)
    await waiting(claimed, 1)
    const gone = once(early, 'close')
    await claimed.close()
    await gone
    expect(claimed.waiting).toBe(0)
  })
})

describe('adopt', () => {
  it('serves both loopbacks by one server', async () => {
    const claimed = await held('localhost:0')
    const server = createHttp((_, response) => response.end('both'))
    adopt(claimed, server)
    for (const host of ['127.0.0.1', '::1']) {
      const socket = client(claimed.port, host)
      socket.end(REQUEST)
      expect(await text(socket)).toMatch(/both$/)
    }
  })

  it('frees the port when the server is closed', async () => {
    const claimed = await held('localhost:0')
    const server = createServer()
    adopt(claimed, server)
    expect(server.address()).toMatchObject({ port: claimed.port })
    server.close()
    await claimed.closed
    await held(`localhost:${claimed.port}`)
  })

  it('closes the server when the claim is closed', async () => {
    const claimed = await held('localhost:0')
    const server = createServer()
    adopt(claimed, server)
    await claimed.close()
    expect(server.listening).toBe(false)
    await held(`localhost:${claimed.port}`)
  })

  it.each([
    ['connection', 'net', () => createServer()],
    // http closes a connection at once that has no whole request.
    ['request', 'http', () => createHttp()],
  ])(
    'at its %s, frees the port at close of a server of %s, while a client stays',
    async (event, _kind, make) => {
      const claimed = await held('localhost:0')
      const server = make()
      adopt(claimed, server)
      let accepted = 0
      server.on(event, () => (accepted += 1))
      const clients = ['127.0.0.1', '::1'].map((host) => client(claimed.port, host))
      for (const one of clients) one.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await until(() => accepted === 2)
      let isClosed = false
      server.close(() => (isClosed = true)) // its `close` event waits for the clients
      await claimed.closed
      expect(server.listening).toBe(false)
      for (const host of ['127.0.0.1', '::1']) {
        const [error] = await once(connect(claimed.port, host), 'error')
        expect(error).toMatchObject({ code: 'ECONNREFUSED' })
      }
      const next = await held(`localhost:${claimed.port}`)
      expect(isClosed).toBe(false)
      // The server can be used again.
      await next.close()
      adopt(await held(`localhost:${claimed.port}`), server)
      expect(server.listening).toBe(true)
      for (const one of clients) one.destroy()
    },
  )

  it('rejects a server that already listens', async () => {
    const claimed = await held('127.0.0.1:0')
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    expect(() => claimed.adopt(server)).toThrow(TypeError)
  })
})

describe('fd', () => {
  it('lets a child serve the port after the claim has ended', async () => {
    const claimed = await held('127.0.0.1:0')
    const fd = claimed.fd()
    expect(fd).toBeTypeOf('number')
    const script = `require('net').createServer((s) => s.end('from the child')).listen({ fd: 3 })`
    const child = spawn(process.execPath, ['-e', script], {
      stdio: ['ignore', 'ignore', 'inherit', fd ?? 'ignore'],
    })
    onTestFinished(() => void child.kill())
    await claimed.close()
    expect(await text(client(claimed.port))).toBe('from the child')
  })

  it('rejects the index of a socket that does not exist', async () => {
    const claimed = await held('localhost:0')
    expect(claimed.fd(1)).toBeTypeOf('number')
    expect(() => claimed.fd(2)).toThrow(RangeError)
  })
})

async function held(want: Want, options?: ClaimOptions): Promise<Claim> {
  const claimed = await claim(want, options)
  onTestFinished(() => claimed.destroy())
  return claimed
}

/** A port outside of the range of outgoing connections that is free in both families. */
async function quietPort(): Promise<number> {
  await using free = await findFree({ range: { first: 10_000, last: 30_000 } })
  return free.port
}

function client(port: number, host = '127.0.0.1'): Socket {
  const socket = connect({ port, host })
  socket.on('error', () => {}) // being disconnected is part of the game
  onTestFinished(() => void socket.destroy())
  return socket
}

function adopt(claimed: Claim, server: Server): void {
  onTestFinished(() => void server.close())
  claimed.adopt(server)
}

async function waiting(claimed: Claim, count: number): Promise<void> {
  await until(() => claimed.waiting === count, { what: `${count} early clients` })
}
