import { getEventListeners, once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'

import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { claim } from '../../src/claim/claim-port.ts'
import { findFree } from '../../src/claim/find-free.ts'
import { listen, listenTogether, type ListenOptions } from '../../src/listen/listen.ts'
import { Listeners } from '../../src/listen/listeners.ts'
import type { Peer } from '../../src/listen/peer.ts'
import type { Want } from '../../src/claim/wanted-address.ts'
import { untilQueued } from '../accept-queue-of.ts'

describe('listen', () => {
  it('serves both families on a bare port and reports peers in their own family', async () => {
    const peers: Peer[] = []
    const { bound } = await open(0, {
      onConnection: (socket, peer) => {
        peers.push(peer)
        socket.end()
      },
    })
    const port = bound[0]?.port ?? 0
    await text(client(port, '127.0.0.1'))
    await text(client(port, '::1'))
    expect(peers).toEqual([
      { address: '127.0.0.1', family: 'ipv4', port: expect.any(Number) },
      { address: '::1', family: 'ipv6', port: expect.any(Number) },
    ])
  })

  it('accepts what waits in the queue of the kernel before it closes, if told to', async () => {
    let accepted = 0
    const listeners = await open('127.0.0.1:0', {
      onConnection: (socket) => {
        accepted += 1
        socket.end()
      },
    })
    const clients = Array.from({ length: 40 }, () => client(listeners.bound[0]?.port ?? 0))
    const ended = clients.map(async (one) => await once(one.resume(), 'close'))
    // They are asked for in the next tick, before the event loop could accept one.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    if (process.platform === 'linux') untilQueued([listeners.bound[0]?.port ?? 0], clients.length)
    await listeners.close({ acceptQueued: true })
    expect(accepted).toBe(clients.length)
    await Promise.all(ended)
  })

  it.runIf(process.platform === 'linux')(
    'accepts what came behind the last turn of the event loop',
    async () => {
      let accepted = 0
      const listeners = await open('127.0.0.1:0', {
        onConnection: (socket) => {
          accepted += 1
          socket.end()
        },
      })
      let turns = 0
      let ended: Promise<unknown> | undefined
      // Before the immediate of `close` in each turn, and behind the poll, as the work of others is.
      const work = (): void => {
        turns += 1
        if (turns < 2) return void setImmediate(work)
        ended = once(client(listeners.bound[0]?.port ?? 0).resume(), 'close')
      }
      setImmediate(work)
      await listeners.close({ acceptQueued: true })
      await ended
      expect(accepted).toBe(1)
    },
  )

  it('describes the real addresses', async () => {
    const { bound, failed } = await open([':0', 'localhost:0', '127.0.0.1:0'])
    const [all, both, one] = bound
    expect(failed).toEqual([])
    expect(all).toMatchObject({
      want: ':0',
      sockets: [{ address: `[::]:${all?.port}`, families: 'IPv6 + IPv4' }],
      warnings: [],
    })
    expect(all?.urls[0]).toBe(`http://localhost:${all?.port}`)
    expect(both).toMatchObject({
      sockets: [
        { address: `127.0.0.1:${both?.port}`, families: 'IPv4' },
        { address: `[::1]:${both?.port}`, families: 'IPv6' },
      ],
      urls: [`http://localhost:${both?.port}`],
    })
    expect(one?.urls).toEqual([`http://127.0.0.1:${one?.port}`])
  })

  it('keeps [::] to IPv6 beside 0.0.0.0 on the same port', async () => {
    const port = await freePort()
    const { bound } = await open([`0.0.0.0:${port}`, `[::]:${port}`])
    expect(bound.flatMap((one) => one.sockets.map((socket) => socket.families))).toEqual([
      'IPv4',
      'IPv6',
    ])
  })

  it.each([
    ['127.0.0.1:7001', '127.0.0.1:7001'],
    [':7001', '127.0.0.1:7001'],
    ['localhost:7001', '[::1]:7001'],
    ['0.0.0.0:7001', '192.0.2.1:7001'],
  ])('rejects the overlap of %s and %s before any bind', async (first, second) => {
    await expect(open([first, second])).rejects.toMatchObject({
      code: 'PORTCHECK_ADDRESS_OVERLAP',
      message: `${first} and ${second} need the same socket`,
    })
  })

  it('opens all or nothing by default', async () => {
    const other = await claim('127.0.0.1:0')
    onTestFinished(() => other.destroy())
    const port = await freePort()
    await expect(open([`127.0.0.1:${port}`, `127.0.0.1:${other.port}`])).rejects.toMatchObject({
      code: 'PORTCHECK_PORT_BUSY',
      port: other.port,
    })
    await open(`127.0.0.1:${port}`)
  })

  it('reports the failed address and continues with require any', async () => {
    const other = await claim('127.0.0.1:0')
    onTestFinished(() => other.destroy())
    const { bound, failed } = await open([`127.0.0.1:${other.port}`, '127.0.0.1:0'], {
      require: 'any',
    })
    expect(bound.map((one) => one.want)).toEqual(['127.0.0.1:0'])
    expect(failed).toMatchObject([
      { want: `127.0.0.1:${other.port}`, error: { code: 'PORTCHECK_PORT_BUSY' } },
    ])
  })

  it('fails with require any when nothing opens', async () => {
    await expect(open('192.0.2.77:0', { require: 'any' })).rejects.toMatchObject({
      code: 'PORTCHECK_ADDRESS_ABSENT',
      errno: 'EADDRNOTAVAIL',
    })
  })

  it('can fail completely with require none, beside others that must not', async () => {
    const other = await claim('127.0.0.1:0')
    onTestFinished(() => other.destroy())
    const onConnection = (): void => {}
    const [some, all] = await listenTogether([
      { at: `127.0.0.1:${other.port}`, require: 'none', onConnection },
      { at: '127.0.0.1:0', onConnection },
    ])
    for (const one of [some, all]) onTestFinished(() => one.destroy())
    expect(some.bound).toEqual([])
    expect(some.failed).toMatchObject([{ error: { code: 'PORTCHECK_PORT_BUSY' } }])
    expect(all.bound).toHaveLength(1)
  })

  it('passes connections of every socket to an http server', async () => {
    const server = createHttp((_, response) => response.end('served'))
    onTestFinished(() => void server.close())
    const { bound } = await open('localhost:0', { server, onConnection: undefined })
    for (const host of ['127.0.0.1', '::1']) {
      const socket = client(bound[0]?.port ?? 0, host)
      socket.end('GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n')
      expect(await text(socket)).toMatch(/served$/)
    }
  })

  it('lets an http server watch for slow clients', async () => {
    const server = createHttp({ headersTimeout: 1, connectionsCheckingInterval: 5 })
    onTestFinished(() => void server.close())
    const { bound } = await open('localhost:0', { server, onConnection: undefined })
    const slow = client(bound[0]?.port ?? 0, '::1')
    slow.write('GET / HTTP/1.1\r\nx: ')
    expect(await text(slow)).toMatch(/^HTTP\/1.1 408/)
  })

  it('gives a net server sockets that end when the client has ended', async () => {
    const server = createServer((socket) => socket.resume())
    onTestFinished(() => void server.close())
    const { bound } = await open('127.0.0.1:0', { server, onConnection: undefined })
    const socket = client(bound[0]?.port ?? 0)
    socket.end('bye')
    expect(await text(socket)).toBe('')
  })

  it.each([{ onConnection: undefined }, { server: createServer(), onConnection: () => {} }])(
    'requires exactly one of onConnection and server',
    async (options) => {
      await expect(open('127.0.0.1:0', options)).rejects.toThrow(
        /^set exactly one of onConnection and server/,
      )
    },
  )

  it('requires at least one address', async () => {
    await expect(open([])).rejects.toThrow('at least one address is needed')
  })

  it('rejects with the reason of a signal that is already aborted', async () => {
    const reason = new Error('no more')
    await expect(open('127.0.0.1:0', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('access lists', () => {
  it('deny an IPv4 peer in IPv6 form with an IPv4 rule', async () => {
    let served = 0
    const listeners = await open(0, {
      deny: ['127.0.0.0/8'],
      onConnection: (socket) => {
        served += 1
        socket.end()
      },
    })
    const port = listeners.bound[0]?.port ?? 0
    await once(client(port, '127.0.0.1'), 'close')
    expect([served, listeners.stats()]).toEqual([0, { open: 0, refused: 1, failedAccepts: 0 }])
    await once(client(port, '::1').resume(), 'close')
    expect(served).toBe(1)
  })
})

describe('conflict', () => {
  it('takes the next free port with next', async () => {
    const { first, second } = await twoInARow()
    const { bound } = await open(`127.0.0.1:${first}`, { conflict: 'next' })
    expect(bound[0]).toMatchObject({ want: `127.0.0.1:${first}` })
    expect(bound[0]?.port).toBeGreaterThan(second)
  })

  it('fails after maxNext ports', async () => {
    const { first } = await twoInARow()
    await expect(
      open(`127.0.0.1:${first}`, { conflict: 'next', maxNext: 1 }),
    ).rejects.toMatchObject({ code: 'PORTCHECK_PORT_BUSY', port: first + 1 })
  })

  it('waits until the holder has ended', async () => {
    const other = await claim('127.0.0.1:0')
    const opening = open(`127.0.0.1:${other.port}`, { conflict: 'wait', waitMs: 4_000 })
    setImmediate(() => other.destroy())
    expect((await opening).bound[0]?.port).toBe(other.port)
  })

  it('fails when the holder stays', async () => {
    const other = await claim('127.0.0.1:0')
    onTestFinished(() => other.destroy())
    await expect(
      open(`127.0.0.1:${other.port}`, { conflict: 'wait', waitMs: 1 }),
    ).rejects.toMatchObject({ code: 'PORTCHECK_PORT_BUSY' })
  })

  it('stops waiting with the reason of the signal, leaving no listener on it', async () => {
    const other = await claim('127.0.0.1:0')
    onTestFinished(() => other.destroy())
    const controller = new AbortController()
    const opening = open(`127.0.0.1:${other.port}`, {
      conflict: 'wait',
      waitMs: Infinity,
      signal: controller.signal,
    })
    const reason = new Error('stop')
    setImmediate(() => controller.abort(reason))
    await expect(opening).rejects.toBe(reason)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  it('does not wait for an address that this machine does not have', async () => {
    await expect(
      open('192.0.2.77:0', { conflict: 'wait', waitMs: Infinity }),
    ).rejects.toMatchObject({ code: 'PORTCHECK_ADDRESS_ABSENT' })
  })

  it.each([
    [{ waitMs: -1 }, 'waitMs must be 0 or more, got -1'],
    [{ waitMs: Number.NaN }, 'waitMs must be 0 or more, got NaN'],
    [{ maxNext: 0 }, 'maxNext must be an integer from 1 to 65535, got 0'],
    [{ maxNext: 65_536 }, 'maxNext must be an integer from 1 to 65535, got 65536'],
  ])('rejects %o by name', async (options, message) => {
    await expect(open('127.0.0.1:0', options)).rejects.toThrow(message)
  })
})

describe('onWait', () => {
  it('is called once with the holder', async () => {
    const other = await claim('127.0.0.1:0')
    const told: string[] = []
    await open(`127.0.0.1:${other.port}`, {
      conflict: 'wait',
      waitMs: 4_000,
      onWait: ({ code, message }) => {
        told.push(`${code} ${message}`)
        setTimeout(() => other.destroy(), 100) // some attempts later
      },
    })
    expect(told).toEqual([expect.stringMatching(/^PORTCHECK_PORT_BUSY .*, held by .*pid/)])
  })

  it('is not called when the port is free', async () => {
    const onWait = vi.fn<() => void>()
    await open('127.0.0.1:0', { conflict: 'wait', onWait })
    expect(onWait).not.toHaveBeenCalled()
  })
})

describe('listenTogether', () => {
  const onConnection = (socket: Socket): void => void socket.end()

  it('returns the listeners in the order of the requests', async () => {
    const [one, two] = await listenTogether([
      { at: 'localhost:0', onConnection },
      { at: ['127.0.0.1:0', '[::1]:0'], onConnection, scheme: 'tcp' },
    ])
    onTestFinished(() => [one, two].forEach((listeners) => listeners.destroy()))
    expect(one.bound.map(({ want }) => want)).toEqual(['localhost:0'])
    expect(two.bound.map(({ want }) => want)).toEqual(['127.0.0.1:0', '[::1]:0'])
    expect(two.bound[0]?.urls[0]).toMatch(/^tcp:/)
  })

  it('rejects the overlap of two requests before any bind', async () => {
    await expect(
      listenTogether([
        { at: ':7001', onConnection },
        { at: '127.0.0.1:7001', onConnection },
      ]),
    ).rejects.toMatchObject({ code: 'PORTCHECK_ADDRESS_OVERLAP' })
  })

  it('leaves nothing open when the last cannot be opened', async () => {
    const other = await claim('127.0.0.1:0')
    onTestFinished(() => other.destroy())
    const port = await freePort()
    await expect(
      listenTogether([
        { at: `127.0.0.1:${port}`, onConnection },
        { at: `127.0.0.1:${other.port}`, onConnection },
      ]),
    ).rejects.toMatchObject({ code: 'PORTCHECK_PORT_BUSY', port: other.port })
    await open(`127.0.0.1:${port}`)
  })

  it('serves no client before all hold their ports', async () => {
    const other = await claim('127.0.0.1:0')
    const port = await freePort()
    const served: string[] = []
    const opening = listenTogether([
      { at: `127.0.0.1:${port}`, onConnection: (socket) => (served.push('early'), socket.end()) },
      {
        at: `127.0.0.1:${other.port}`,
        conflict: 'wait',
        onConnection,
        onWait: () => {
          const early = client(port)
          early.once('connect', () => {
            served.push('connected')
            other.destroy()
          })
        },
      },
    ])
    const listeners = await opening
    onTestFinished(() => listeners.forEach((one) => one.destroy()))
    await expect.poll(() => served).toEqual(['connected', 'early'])
  })

  it('with next never moves to a port that another request can have', async () => {
    const { first, second, free } = await twoInARow()
    free()
    const [moved, kept] = await listenTogether([
      { at: `127.0.0.1:${first}`, conflict: 'next', onConnection },
      { at: `127.0.0.1:${second}`, conflict: 'next', onConnection },
    ])
    onTestFinished(() => [moved, kept].forEach((listeners) => listeners.destroy()))
    expect(kept.bound[0]?.port).toBe(second)
    expect(moved.bound[0]?.port).toBeGreaterThan(second)
  })
})

describe('Listeners', () => {
  it('restrict replaces the access lists and keeps open connections', async () => {
    const accepted: Socket[] = []
    const listeners = await open('127.0.0.1:0', { onConnection: (socket) => accepted.push(socket) })
    const port = listeners.bound[0]?.port ?? 0
    const before = client(port)
    await expect.poll(() => accepted.length).toBe(1)
    listeners.restrict({ deny: ['127.0.0.1'] })
    await once(client(port), 'close')
    expect(() => listeners.restrict({ allow: ['nonsense'] })).toThrow(/nonsense/)
    await once(client(port), 'close')
    expect(listeners.stats()).toMatchObject({ open: 1, refused: 2 })
    listeners.restrict({})
    client(port)
    await expect.poll(() => accepted.length).toBe(2)
    expect(before.destroyed).toBe(false)
  })

  it('a handshake runs after the access lists, and its socket is passed on', async () => {
    const shaken: string[] = []
    const listeners = await open('127.0.0.1:0', {
      handshake: (socket, peer, done) => {
        shaken.push(peer.address)
        socket.once('data', () => done(socket))
      },
      onConnection: (socket, peer) => socket.end(`hello ${peer.address}`),
    })
    const port = listeners.bound[0]?.port ?? 0
    const welcome = client(port)
    welcome.write('x')
    expect(await text(welcome)).toBe('hello 127.0.0.1')
    listeners.restrict({ deny: ['127.0.0.1'] })
    await once(client(port), 'close')
    expect(shaken).toEqual(['127.0.0.1'])
  })

  it('destroy closes the socket of a handshake, not the one below it', async () => {
    const made = new PassThrough() as unknown as Socket
    let onHanded = (): void => {}
    const handed = new Promise<void>((resolve) => (onHanded = resolve))
    const listeners = await open('127.0.0.1:0', {
      handshake: (socket, _peer, done) => {
        made.once('close', () => socket.destroy())
        done(made)
      },
      onConnection: () => onHanded(),
    })
    client(listeners.bound[0]?.port ?? 0)
    await handed
    listeners.destroy()
    await listeners.closed
    expect(made.destroyed).toBe(true)
  })

  it('close waits for open connections and frees the port before', async () => {
    const accepted: Socket[] = []
    const listeners = await open('127.0.0.1:0', { onConnection: (socket) => accepted.push(socket) })
    const port = listeners.bound[0]?.port ?? 0
    const socket = client(port)
    socket.write('x')
    await once(socket, 'connect')
    await expect.poll(() => accepted.length).toBe(1)
    const closing = listeners.close()
    await open(`127.0.0.1:${port}`)
    expect(listeners.stats().open).toBe(1)
    accepted[0]?.destroy()
    await closing
    expect(listeners.stats().open).toBe(0)
  })

  it('close rejects with the reason of its signal; destroy then closes the connections', async () => {
    const accepted: Socket[] = []
    const listeners = await open('127.0.0.1:0', { onConnection: (socket) => accepted.push(socket) })
    const socket = client(listeners.bound[0]?.port ?? 0)
    await expect.poll(() => accepted.length).toBe(1)
    const controller = new AbortController()
    const closing = listeners.close({ signal: controller.signal })
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(closing).rejects.toBe(reason)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    const gone = once(socket, 'close')
    listeners.destroy()
    await listeners.closed
    await gone
    expect(listeners.stats().open).toBe(0)
  })
})

describe('what is left', () => {
  it('has no socket, no server, no timer and no listener on the signal', async () => {
    const count = (): number =>
      process
        .getActiveResourcesInfo()
        .filter((name) => name.startsWith('TCP') || name === 'Timeout').length
    const before = count()
    const { signal } = new AbortController()
    const listeners = await open(['localhost:0', 0], { signal })
    await listeners.verify()
    await text(client(listeners.bound[0]?.port ?? 0))
    await listeners.close({ signal })
    expect(getEventListeners(signal, 'abort')).toEqual([])
    await expect.poll(count).toBeLessThanOrEqual(before + 1) // the poll's own timer
  })
})

async function open(
  wants: Want | readonly Want[],
  options: { [Key in keyof ListenOptions]?: ListenOptions[Key] | undefined } = {},
): Promise<Listeners> {
  const listeners = await listen(wants, {
    onConnection: (socket) => socket.end(),
    ...options,
  } as ListenOptions)
  onTestFinished(() => listeners.destroy())
  return listeners
}

/** A port outside of the range of outgoing connections. */
async function freePort(): Promise<number> {
  await using claimed = await findFree({ range: { first: 10_000, last: 30_000 } })
  return claimed.port
}

/** Two ports in a row that are held; `free` frees the second one. */
async function twoInARow(): Promise<{ first: number; second: number; free: () => void }> {
  for (;;) {
    const one = await claim('127.0.0.1:0')
    onTestFinished(() => one.destroy())
    try {
      const two = await claim(`127.0.0.1:${one.port + 1}`)
      onTestFinished(() => two.destroy())
      return { first: one.port, second: two.port, free: () => two.destroy() }
    } catch {
      // the next port is held, or there is none
    }
  }
}

function client(port: number, host = '127.0.0.1'): Socket {
  const socket = connect({ port, host })
  socket.on('error', () => {}) // being disconnected is part of the game
  onTestFinished(() => void socket.destroy())
  return socket
}

it('listeners of no address are closed like others', async () => {
  const none = Listeners.none()
  expect([none.bound, none.failed, none.descriptors('web'), none.isShared]).toEqual([
    [],
    [],
    [],
    false,
  ])
  expect(none.stats()).toEqual({ open: 0, refused: 0, failedAccepts: 0 })
  expect(await none.verify()).toEqual({ reached: [], warnings: [] })
  await none.close({ acceptQueued: true })
  await none.closed
})
