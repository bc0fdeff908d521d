import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, describe, expect, it } from 'vitest'

import { dial, type DialEvent, type DialOptions, type Lookup } from '../src/index.ts'
import { failure } from './failure.ts'

const open: { close(): void }[] = []
afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

async function listen(host: string, onConnection: (socket: Socket) => void = () => {}) {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(0, host)
  await once(server, 'listening')
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  })
  return { server, port: (server.address() as AddressInfo).port, sockets }
}

const answers =
  (...addresses: string[]): Lookup =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

describe('dial', () => {
  it('opens a TCP connection with noDelay and gets the first bytes of the server', async () => {
    const { port } = await listen('127.0.0.1', (socket) => socket.write('hello'))
    const socket = await dial({ host: '127.0.0.1', port })
    const [chunk] = await once(socket, 'data')
    expect(String(chunk)).toBe('hello')
    socket.destroy()
  })

  it('reaches an IPv6 address with and without brackets', async () => {
    const { port } = await listen('::1')
    for (const host of ['::1', '[::1]']) {
      const socket = await dial({ host, port })
      expect(socket.remoteAddress).toBe('::1')
      socket.destroy()
    }
  })

  it.each(['127.0.0.1', '::1'])('reaches a service on only %s by localhost', async (address) => {
    const { port } = await listen(address)
    for (const host of ['localhost', 'LocalHost']) {
      const socket = await dial({ host, port })
      expect(socket.remoteAddress).toBe(address)
      socket.destroy()
    }
  })

  it('names both loopbacks when localhost refuses', async () => {
    const { port, server } = await listen('127.0.0.1')
    server.close()
    const error = await failure(dial({ host: 'localhost', port }))
    expect(error.code).toBe('DIAL_CONNECT_REFUSED')
    expect(error.attempts?.map(({ address }) => address)).toEqual([
      `[::1]:${port}`,
      `127.0.0.1:${port}`,
    ])
  })

  it('asks a lookup of the caller for localhost too', async () => {
    const { port } = await listen('127.0.0.2')
    const socket = await dial({ host: 'localhost', port }, { lookup: answers('127.0.0.2') })
    expect(socket.remoteAddress).toBe('127.0.0.2')
    socket.destroy()
  })

  it('reaches a unix socket, and names the path that does not exist', async () => {
    const path = join(tmpdir(), `dial-${process.pid}.sock`)
    const server = createServer().listen(path)
    await once(server, 'listening')
    open.push(server)
    const socket = await dial({ path })
    socket.destroy()
    const error = await failure(dial({ path: `${path}.none` }))
    expect(error.code).toBe('DIAL_CONNECT_FAILED')
    expect(error.message).toContain(`${path}.none failed (ENOENT)`)
  })

  it('binds the source address and the source port', async () => {
    const { port } = await listen('127.0.0.1')
    const socket = await dial({ host: '127.0.0.1', port }, { localAddress: ['::1', '127.0.0.2'] })
    expect(socket.localAddress).toBe('127.0.0.2')
    const localPort = socket.localPort ?? 0
    const busy = await failure(
      dial({ host: '127.0.0.1', port }, { localAddress: `127.0.0.2:${localPort}` }),
    )
    expect(busy.code).toBe('DIAL_BIND_PORT_BUSY')
    socket.destroy()
  })

  it('tries further sources of one family after the earlier ones failed', async () => {
    const { port } = await listen('127.0.0.1')
    const socket = await dial(
      { host: '127.0.0.1', port },
      { localAddress: ['203.0.113.9', '127.0.0.3'] },
    )
    expect(socket.localAddress).toBe('127.0.0.3')
    socket.destroy()
  })

  it('says that a source address is not of this host, and which ones are', async () => {
    const error = await failure(
      dial({ host: '127.0.0.1', port: 9 }, { localAddress: '203.0.113.9' }),
    )
    expect(error.code).toBe('DIAL_BIND_NOT_LOCAL')
    expect(error.phase).toBe('bind')
    expect(error.hint).toContain('127.0.0.1')
  })

  it('reports that source and target have no common address family', async () => {
    const error = await failure(dial({ host: '127.0.0.1', port: 9 }, { localAddress: '::1' }))
    expect(error.code).toBe('DIAL_BIND_FAMILY')
    expect(error.message).toContain('::1')
  })

  it('uses only the address family of the source', async () => {
    const { port } = await listen('127.0.0.1')
    const socket = await dial(
      { host: 'both.test', port },
      { localAddress: '127.0.0.1', lookup: answers('::1', '127.0.0.1') },
    )
    expect(socket.remoteAddress).toBe('127.0.0.1')
    socket.destroy()
  })

  it('tries the next address at once when one refuses the connection', async () => {
    const { port } = await listen('127.0.0.1')
    const socket = await dial({ host: 'both.test', port }, { lookup: answers('::1', '127.0.0.1') })
    expect(socket.remoteAddress).toBe('127.0.0.1')
    socket.destroy()
  })

  it('makes one message of the failures of all addresses', async () => {
    const { port, server } = await listen('127.0.0.1')
    server.close()
    const error = await failure(
      dial({ host: 'both.test', port }, { lookup: answers('::1', '127.0.0.1') }),
    )
    expect(error.code).toBe('DIAL_CONNECT_REFUSED')
    expect(error.retryable).toBe(true)
    expect(error.message).toBe(
      `cannot reach the server at both.test:${port}: tried 2 times: ` +
        `[::1]:${port} refused the connection; 127.0.0.1:${port} refused the connection`,
    )
    expect(error.attempts).toHaveLength(2)
  })

  it('calls the target a service where it is told to', async () => {
    const targetName = 'service'
    const { port, server } = await listen('127.0.0.1', (socket) => void socket.end('plain\r\n'))
    const target = { host: '127.0.0.1', port }
    const plain = await failure(dial(target, { targetName, tls: true }))
    expect([plain.code, plain.leg]).toEqual(['DIAL_TLS_PROTOCOL', 'service'])
    expect(plain.message).toBe(`the service 127.0.0.1:${port} does not respond with TLS`)
    server.close()
    const closed = await failure(dial(target, { targetName }))
    expect([closed.code, closed.leg]).toEqual(['DIAL_CONNECT_REFUSED', 'service'])
    expect(closed.message).toContain(`cannot reach the service at 127.0.0.1:${port}: `)
    expect(closed.hint).toBe('check host and port, and that the service is running')
    const wrong = { targetName: 'proxy' } as unknown as DialOptions
    expect(() => dial(target, wrong)).toThrow('targetName must be server or service, got proxy')
  })

  it('reports a name that does not exist, and a lookup that fails', async () => {
    const fails =
      (code: string): Lookup =>
      async () => {
        throw Object.assign(new Error(code), { code })
      }
    const target = { host: 'gone.test', port: 1 }
    const missing = await failure(dial(target, { lookup: fails('ENOTFOUND') }))
    expect([missing.code, missing.retry]).toEqual(['DIAL_DNS_NOT_FOUND', 'slow'])
    const later = await failure(dial(target, { lookup: fails('EAI_AGAIN') }))
    expect([later.code, later.retry]).toEqual(['DIAL_DNS_FAILED', 'yes'])
  })

  it('times out a lookup that does not end', async () => {
    const error = await failure(
      dial(
        { host: 'slow.test', port: 1 },
        { lookup: () => new Promise(() => {}), timeouts: { dnsMs: 5 } },
      ),
    )
    expect(error.code).toBe('DIAL_DNS_TIMEOUT')
  })

  it('ends at the total limit before those of the steps, and reports the current step', async () => {
    const error = await failure(
      dial(
        { host: 'slow.test', port: 1 },
        { lookup: () => new Promise(() => {}), timeouts: { totalMs: 5 } },
      ),
    )
    expect(error.code).toBe('DIAL_DEADLINE')
    expect(error.message).toContain('dns (slow.test)')
  })

  it('rejects with the reason of the signal and removes its listener', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const dialed = dial(
      { host: 'slow.test', port: 1 },
      { lookup: () => new Promise(() => {}), signal: controller.signal },
    )
    controller.abort(reason)
    await expect(dialed).rejects.toBe(reason)
    await expect(dial({ host: '127.0.0.1', port: 1 }, { signal: controller.signal })).rejects.toBe(
      reason,
    )
  })

  it('reports its steps in order', async () => {
    const { port } = await listen('127.0.0.1')
    const events: DialEvent[] = []
    const socket = await dial(
      { host: 'here.test', port },
      {
        lookup: answers('127.0.0.1'),
        onEvent: (event) => {
          events.push(event)
          throw new Error('a listener of bad manners')
        },
      },
    )
    socket.destroy()
    expect(events.map(({ phase, state }) => `${phase} ${state}`)).toEqual([
      'dns started',
      'dns succeeded',
      'connect started',
      'connect succeeded',
    ])
  })

  it('rejects wrong arguments at once', () => {
    const target = { host: 'a.test', port: 1 }
    const bad: [() => unknown, string][] = [
      [() => dial({ host: 'a.test', port: 0 }), 'port'],
      [() => dial({ host: 'a.test', port: 65_536 }), 'port'],
      [() => dial({ host: 'a test', port: 1 }), 'host'],
      [() => dial({ host: 'user@a.test', port: 1 }), 'host'],
      [() => dial({ host: 'a.test\r\nx', port: 1 }), 'host'],
      [() => dial({ path: '' }), 'path'],
      [() => dial(target, { localAddress: 'eth0' }), 'localAddress'],
      [() => dial(target, { localAddress: 'fe80::1' }), 'localAddress'],
      [() => dial(target, { localAddress: '::ffff:192.0.2.1' }), 'localAddress'],
      [() => dial(target, { localAddress: '192.0.2.1:70000' }), 'localAddress'],
      [() => dial(target, { localPort: 70_000 }), 'localPort'],
      [() => dial(target, { localAddress: '127.0.0.1', interface: 'lo' }), 'interface'],
      [() => dial(target, { timeouts: { tlsMs: 0 } }), 'timeouts.tlsMs'],
      [() => dial(target, { attemptDelayMs: 9 }), 'attemptDelayMs'],
      [() => dial(target, { tls: { ca: 'no certificate' } }), 'tls.ca'],
      [() => dial(target, { tls: { pin: 'short' } }), 'tls.pin'],
      [() => dial(target, { tls: { verify: 'pin-only' } }), 'tls.verify'],
      [() => dial(target, { tls: { cert: 'x' } }), 'tls.cert'],
    ]
    for (const [call, name] of bad) expect(call).toThrow(name)
  })
})
