import { spawnSync } from 'node:child_process'

import { connect, type Socket } from 'node:net'
import * as net from 'node:net'
import { text } from 'node:stream/consumers'

import { describe, expect, it, onTestFinished } from 'vitest'

import { type InheritedSocket, InheritedSockets } from '../../src/claim/inherited-sockets.ts'
import { claim } from '../../src/claim/claim-port.ts'
import { listen, listenTogether, type ListenRequest } from '../../src/listen/listen.ts'
import type { Listeners } from '../../src/listen/listeners.ts'

describe('InheritedSockets', () => {
  it('serves a wanted address with the inherited socket and binds the rest', async () => {
    const socket = boundSocket('127.0.0.1')
    const inherited = new InheritedSockets([socket])
    const [both] = await open({ at: `localhost:${socket.port}`, inherited, onConnection: sayHello })
    expect(both?.bound.map(({ origin, sockets }) => [origin, sockets[0]?.address])).toEqual([
      ['bound', `[::1]:${socket.port}`],
      ['inherited', `127.0.0.1:${socket.port}`],
    ])
    expect(await text(connect(socket.port, '127.0.0.1'))).toBe('hello')
    expect(await text(connect(socket.port, '::1'))).toBe('hello')
    expect(inherited.unused).toEqual([])
  })

  it('uses a socket of each family where one of both families is wanted', async () => {
    const socket = boundSocket('0.0.0.0')
    const [all] = await open({
      at: socket.port,
      inherited: new InheritedSockets([socket]),
      onConnection: sayHello,
    })
    expect(all?.bound.map(({ origin, sockets }) => [origin, sockets[0]?.families])).toEqual([
      ['bound', 'IPv6'],
      ['inherited', 'IPv4'],
    ])
    expect(await text(connect(socket.port, '127.0.0.1'))).toBe('hello')
  })

  it('names the addresses of its sockets and closes those that are not wanted', async () => {
    const kept = { ...boundSocket('127.0.0.1', 'web'), isShared: true }
    const left = boundSocket('127.0.0.1', 'web')
    const inherited = new InheritedSockets([kept, left])
    expect(inherited.addressesOf('web')).toEqual([`127.0.0.1:${kept.port}`])
    expect(inherited.addressesOf('none')).toEqual([])
    expect(inherited.closeUnused(({ isShared }) => isShared)).toEqual([left])
    const again = await claim(`127.0.0.1:${left.port}`) // nothing holds it
    await again.close()
    expect(inherited.unused).toEqual([kept])
    inherited.close()
    expect(inherited.unused).toEqual([])
  })

  it('keeps a shared socket for the next listener, and closes connections in between', async () => {
    const socket = { ...boundSocket('127.0.0.1'), isShared: true }
    const inherited = new InheritedSockets([socket])
    const at = `127.0.0.1:${socket.port}`
    const [first] = await open({ at, inherited, onConnection: sayHello })
    await first?.close()
    expect(inherited.unused).toEqual([socket])
    expect(await text(connect(socket.port, '127.0.0.1'))).toBe('')
    const [second] = await open({ at, inherited, onConnection: sayHello })
    expect(await text(connect(socket.port, '127.0.0.1'))).toBe('hello')
    inherited.close()
    await second?.close()
    await (await claim(at)).close()
  })

  it('frees a socket that is not shared when its listener closes', async () => {
    const socket = boundSocket('127.0.0.1')
    const inherited = new InheritedSockets([socket])
    const at = `127.0.0.1:${socket.port}`
    const [listeners] = await open({ at, inherited, onConnection: sayHello })
    await listeners?.close()
    expect(inherited.unused).toEqual([])
    await (await claim(at)).close()
  })

  it('gives shared sockets back when another address cannot be bound', async () => {
    const other = await claim('127.0.0.1:0')
    onTestFinished(() => other.destroy())
    const socket = { ...boundSocket('127.0.0.1'), isShared: true }
    const inherited = new InheritedSockets([socket])
    const at = [`127.0.0.1:${socket.port}`, `127.0.0.1:${other.port}`]
    await expect(listen(at, { inherited, onConnection: sayHello })).rejects.toMatchObject({
      code: 'PORTCHECK_PORT_BUSY',
    })
    expect(inherited.unused).toEqual([socket])
    inherited.close()
  })

  it('uses a socket at another port that was opened for the same listener and address', async () => {
    const want = '127.0.0.1:0'
    const socket = { ...boundSocket('127.0.0.1', 'web'), want }
    const inherited = new InheritedSockets([socket])
    const how = { inherited, onConnection: sayHello }
    const [other, web] = await listenTogether([
      { ...how, at: want, name: 'other' },
      { ...how, at: want, name: 'web' },
    ])
    onTestFinished(() => other.destroy())
    onTestFinished(() => web.destroy())
    expect(other.bound[0]?.origin).toBe('bound')
    expect(web.bound[0]).toMatchObject({ origin: 'inherited', port: socket.port, want })
    expect(await text(connect(socket.port, '127.0.0.1'))).toBe('hello')
    // As it is handed to the next process.
    expect(web.descriptors('web')).toEqual([socket])
  })

  it('lists the sockets of a listener with their servers, for workers that accept in its place', async () => {
    const web = await listen('127.0.0.1:0', { onConnection: sayHello })
    onTestFinished(() => web.destroy())
    const [one, ...others] = web.openSockets('web')
    const [own] = web.descriptors('web')
    expect(own).toMatchObject({ want: '127.0.0.1:0', isShared: false })
    expect(one?.socket).toEqual({ ...own, isShared: true })
    expect(one?.server.address()).toMatchObject({ port: web.bound[0]?.port })
    expect(others).toEqual([])
    web.destroy()
    expect(web.openSockets('web')).toEqual([])
  })

  it('refuses connections to shared sockets without a listener, and closes the others', async () => {
    const kept = { ...boundSocket('127.0.0.1'), isShared: true }
    const left = boundSocket('127.0.0.1')
    using inherited = new InheritedSockets([kept, left])
    await inherited.refuseUnused()
    expect(inherited.unused).toEqual([kept])
    expect(await text(connect(kept.port, '127.0.0.1'))).toBe('')
    await expect(text(connect(left.port, '127.0.0.1'))).rejects.toThrow('ECONNREFUSED')
  })

  it('holds connections to sockets without a listener for the one that comes, and ends late ones', async () => {
    const [kept, left] = [boundSocket('127.0.0.1'), boundSocket('127.0.0.1')]
    using inherited = new InheritedSockets([kept, left])
    const dropped: number[] = []
    const end = (connection: Socket, { port }: InheritedSocket): void => {
      dropped.push(port)
      connection.destroy()
    }
    const limits = { earlyTimeoutMs: 60_000, maxEarlyConnections: 1 }
    await inherited.holdUnused(limits, end)
    const waiting = text(connect(kept.port, '127.0.0.1'))
    await expect(text(connect(kept.port, '127.0.0.1'))).resolves.toBe('') // one too many
    const listeners = await listen(`127.0.0.1:${kept.port}`, { inherited, onConnection: sayHello })
    onTestFinished(() => listeners.destroy())
    expect(await waiting).toBe('hello')
    expect(await text(connect(kept.port, '127.0.0.1'))).toBe('hello')
    await inherited.holdUnused({ ...limits, earlyTimeoutMs: 1 }, end)
    await expect(text(connect(left.port, '127.0.0.1'))).resolves.toBe('')
    expect(dropped).toEqual([kept.port, left.port])
  })

  it('names the descriptor that cannot be listened on', async () => {
    const broken = { ...boundSocket('127.0.0.1'), fd: 1_000_000 }
    const at = `127.0.0.1:${broken.port}`
    const inherited = new InheritedSockets([broken])
    await expect(listen(at, { inherited, onConnection: sayHello })).rejects.toMatchObject({
      code: 'PORTCHECK_BIND_FAILED',
      message: expect.stringContaining(`${at} (inherited descriptor 1000000)`),
    })
  })

  it.skipIf(process.platform !== 'linux')('asks the kernel for its longest queue', async () => {
    const socket = boundSocket('127.0.0.1')
    await open({
      at: `127.0.0.1:${socket.port}`,
      inherited: new InheritedSockets([socket]),
      onConnection: sayHello,
    })
    const { stdout, error } = spawnSync('ss', ['-Hltn', `sport = :${socket.port}`])
    if (error !== undefined) return // no ss
    const [, , sendQueue] = String(stdout).split(/\s+/)
    expect(Number(sendQueue)).toBeGreaterThan(511)
  })
})

describe('InheritedSockets.fromServiceManager', () => {
  it('has nothing without the variables', () => {
    const { problems, unused } = InheritedSockets.fromServiceManager({ HOME: '/' }, 7)
    expect({ problems, unused }).toEqual({ problems: [], unused: [] })
  })

  it.each([
    [{ LISTEN_FDS: '2', LISTEN_PID: '8' }, 'LISTEN_PID is 8, and this process is 7'],
    [{ LISTEN_FDS: '2' }, 'LISTEN_PID is not set'],
    [{ LISTEN_FDS: 'x', LISTEN_PID: '7' }, 'LISTEN_FDS must be a number from 0 to 1024, got "x"'],
    [{ LISTEN_FDS: '1025', LISTEN_PID: '7' }, 'LISTEN_FDS must be a number from 0 to 1024'],
  ])('says why %o is not used, and deletes it', (variables, problem) => {
    const env: Record<string, string | undefined> = { ...variables, LISTEN_FDNAMES: 'a:b', X: '1' }
    const { problems, unused } = InheritedSockets.fromServiceManager(env, 7)
    expect(problems).toEqual([expect.stringContaining(problem)])
    expect(unused).toEqual([])
    expect(env).toEqual({ X: '1' })
  })
})

function sayHello(socket: Socket): void {
  socket.end('hello')
}

async function open(request: ListenRequest): Promise<readonly Listeners[]> {
  const all = await listenTogether([request])
  onTestFinished(() => {
    for (const listeners of all) listeners.destroy()
  })
  return all
}

/**
 * A socket that is bound and that this process does not watch, as one from another process. One socket
 * cannot be watched twice in a process, and only a child gets a socket of another process.
 */
function boundSocket(host: string, name = ''): InheritedSocket {
  const create = Reflect.get(net, '_createServerHandle') as (
    host: string,
    port: number,
    family: number,
  ) => { readonly fd: number; getsockname(out: object): number }
  const handle = create(host, 0, 4)
  const address = { port: 0 }
  handle.getsockname(address)
  return { fd: handle.fd, name, host, port: address.port, isShared: false }
}
