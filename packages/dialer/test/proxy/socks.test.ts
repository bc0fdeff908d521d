import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'

import { scriptedPeer, type ScriptedConnection } from '@proj/testkit/scripted-peer'
import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { dial, type DialOptions } from '../../src/index.ts'
import { failure } from '../failure.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const TARGET = { host: 'server.test', port: 0x1f90 }

// RFC 1928: version, method
const NO_AUTH = hex('05 00')
const PASSWORD = hex('05 02')
// version, reply, reserved, type IPv4, address, port
const GRANTED = hex('05 00 00 01 7f000001 1f90')

async function through(
  scheme: string,
  script: (connection: ScriptedConnection, index: number) => Promise<void> | void,
  options: DialOptions & { readonly user?: string; readonly target?: typeof TARGET } = {},
) {
  const proxy = await scriptedPeer(script)
  const { user = '', target = TARGET, ...rest } = options
  const dialed = dial(target, { proxy: `${scheme}://${user}${proxy.authority}`, ...rest })
  return { proxy, dialed }
}

/** Acts as a proxy up to the request, and returns the request. */
async function upToRequest({ read, send }: ScriptedConnection): Promise<Buffer> {
  await read(3)
  send(NO_AUTH)
  // version, command, reserved, type name, length, "server.test", port
  return read(4 + 1 + 11 + 2)
}

async function text(socket: Socket, length: number): Promise<string> {
  let bytes = Buffer.alloc(0)
  while (bytes.length < length) {
    const [chunk] = await once(socket, 'data')
    bytes = Buffer.concat([bytes, chunk as Buffer])
  }
  return bytes.toString('latin1')
}

describe('SOCKS5', () => {
  it('sends the name with socks5h, and keeps the bytes after the reply', async () => {
    let request: Buffer = Buffer.alloc(0)
    const { dialed } = await through('socks5h', async (connection) => {
      request = await upToRequest(connection)
      connection.send(Buffer.concat([GRANTED, Buffer.from('banner')]))
    })
    const socket = await dialed
    await setImmediate()
    await setImmediate()
    expect(await text(socket, 6)).toBe('banner')
    expect(socket.listenerCount('error')).toBe(0)
    socket.destroy()
    expect(request.toString('hex')).toBe(
      `050100030b${Buffer.from('server.test').toString('hex')}1f90`,
    )
  })

  it.each([
    ['an IPv4 address', '05 00 00 01 7f000001 1f90'],
    ['an IPv6 address', `05 00 00 04 ${'00'.repeat(15)}01 1f90`],
    ['a name', '05 00 00 03 04 61622e63 1f90'],
  ])('accepts a reply with %s, byte by byte', async (_name, reply) => {
    const { dialed } = await through('socks5h', async (connection) => {
      await connection.read(3)
      await connection.drip(NO_AUTH)
      await connection.read(18)
      await connection.drip(Buffer.concat([hex(reply), Buffer.from('banner')]))
    })
    const socket = await dialed
    expect(await text(socket, 6)).toBe('banner')
    socket.destroy()
  })

  it('sends user and password when the proxy asks for them', async () => {
    let message: Buffer = Buffer.alloc(0)
    const { dialed } = await through(
      'socks5h',
      async (connection) => {
        expect((await connection.read(4)).toString('hex')).toBe('05020002')
        connection.send(PASSWORD)
        message = await connection.read(2 + 2 + 1 + 3)
        connection.send(hex('01 00'))
        await connection.read(18)
        connection.send(GRANTED)
      },
      { user: 'me:p%40w@' },
    )
    const socket = await dialed
    socket.destroy()
    // RFC 1929: version, length, user, length, password
    expect(message.toString('hex')).toBe(
      `0102${Buffer.from('me').toString('hex')}03${Buffer.from('p@w').toString('hex')}`,
    )
  })

  it.each([
    [1, 'DIAL_PROXY_TARGET_FAILED', 'slow'],
    [2, 'DIAL_PROXY_DENIED', 'slow'],
    [3, 'DIAL_PROXY_TARGET_FAILED', 'yes'],
    [4, 'DIAL_PROXY_TARGET_FAILED', 'yes'],
    [5, 'DIAL_PROXY_TARGET_FAILED', 'yes'],
    [6, 'DIAL_PROXY_TARGET_FAILED', 'yes'],
    [7, 'DIAL_PROXY_PROTOCOL', 'slow'],
    [8, 'DIAL_PROXY_ADDRESS_TYPE', 'slow'],
    [9, 'DIAL_PROXY_TARGET_FAILED', 'slow'],
    [255, 'DIAL_PROXY_TARGET_FAILED', 'slow'],
  ])('maps reply %i to %s, also a shortened reply', async (reply, code, retry) => {
    for (const bytes of [
      Buffer.from([5, reply]),
      Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]),
    ]) {
      const { dialed } = await through('socks5h', async (connection) => {
        await upToRequest(connection)
        connection.socket.end(bytes)
      })
      const error = await failure(dialed)
      expect([error.code, error.retry, error.leg]).toEqual([code, retry, 'proxy'])
      expect(error.message).toContain('server.test:8080')
    }
  })

  it.each([
    ['no acceptable method, no credentials', '', '05 ff', 'DIAL_PROXY_AUTH_REQUIRED'],
    ['no acceptable method', 'a:b@', '05 ff', 'DIAL_PROXY_AUTH_UNSUPPORTED'],
    ['GSSAPI', 'a:b@', '05 01', 'DIAL_PROXY_AUTH_UNSUPPORTED'],
    ['an answer in HTTP', '', '48 54 54 50 2f', 'DIAL_PROXY_PROTOCOL'],
    ['an answer in TLS', '', '15 03 01', 'DIAL_PROXY_PROTOCOL'],
  ])('recognises %s', async (_name, user, answer, code) => {
    const { dialed } = await through('socks5h', ({ send }) => send(hex(answer)), { user })
    expect((await failure(dialed)).code).toBe(code)
  })

  it('reports a wrong password without the password', async () => {
    const { dialed } = await through(
      'socks5h',
      async ({ read, send }) => {
        await read(4)
        send(PASSWORD)
        await read(3)
        // The connection stays open: the dial must fail without waiting for its end.
        send(hex('01 01'))
      },
      { user: 'alice:hunter2@' },
    )
    const error = await failure(dialed)
    expect(error.code).toBe('DIAL_PROXY_AUTH_FAILED')
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2')
    expect(JSON.stringify(error)).not.toContain('hunter2')
  })

  it('fails when the proxy closes in the middle, at every byte', async () => {
    for (let cut = 0; cut < 2; cut += 1) {
      const { dialed } = await through('socks5h', ({ socket }) => {
        socket.end(NO_AUTH.subarray(0, cut))
      })
      expect((await failure(dialed)).code).toBe('DIAL_PROXY_PROTOCOL')
    }
  })

  it('times out a proxy that does not respond', async () => {
    const { dialed, proxy } = await through('socks5h', () => {}, { timeouts: { proxyMs: 20 } })
    expect((await failure(dialed)).code).toBe('DIAL_PROXY_TIMEOUT')
    await until(() => proxy.sockets.size === 0)
  })

  it('rejects with the reason of the signal', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const { dialed } = await through('socks5h', () => controller.abort(reason), {
      signal: controller.signal,
    })
    await expect(dialed).rejects.toBe(reason)
  })

  it('looks up the name itself with socks5, and tries its addresses one after another', async () => {
    const asked: string[] = []
    const { dialed } = await through(
      'socks5',
      async ({ read, send }, index) => {
        await read(3)
        send(NO_AUTH)
        const type = await read(4)
        asked.push((await read((type[3] === 4 ? 16 : 4) + 2)).toString('hex'))
        send(index === 0 ? hex('05 08 00 01 00000000 0000') : GRANTED)
      },
      {
        lookup: async () => [
          { address: '2001:db8::1', family: 6 },
          { address: '192.0.2.1', family: 4 },
        ],
      },
    )
    const socket = await dialed
    socket.destroy()
    expect(asked).toEqual([`20010db8${'00'.repeat(11)}011f90`, 'c00002011f90'])
  })
})

describe('socks5 and a name with addresses of both families', () => {
  const both = async () => [
    { address: '2001:db8::1', family: 6 as const },
    { address: '192.0.2.1', family: 4 as const },
  ]
  /** Gives the request for an IPv6 address to `six`, and grants one for IPv4. */
  const askedFor4 = async (
    six: (connection: ScriptedConnection) => void,
    options: DialOptions = {},
  ): Promise<unknown> => {
    const { dialed } = await through(
      'socks5',
      async (connection) => {
        await connection.read(3)
        connection.send(NO_AUTH)
        const [, , , type] = await connection.read(4)
        if (type === 4) six(connection)
        else connection.send(GRANTED)
      },
      { lookup: both, ...options },
    )
    const socket = await dialed
    socket.destroy()
    return 'connected'
  }

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 255])('tries IPv4 after reply %i for IPv6', async (reply) => {
    expect(
      await askedFor4(({ socket }) => socket.end(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))),
    ).toBe('connected')
  })

  it('tries IPv4 after a connection that closes, breaks, or stays silent', async () => {
    expect(await askedFor4(({ socket }) => socket.end())).toBe('connected')
    expect(await askedFor4(({ socket }) => socket.resetAndDestroy())).toBe('connected')
    // The IPv6 address gets half of the time of the step.
    expect(await askedFor4(() => {}, { timeouts: { proxyMs: 2_000 } })).toBe('connected')
  })

  it('tries all of nine addresses, and reports the most useful error', async () => {
    let asked = 0
    const { dialed } = await through(
      'socks5',
      async ({ read, socket, send }) => {
        await read(3)
        send(NO_AUTH)
        await read(10)
        const replies = [8, 5, 2, 8, 8, 8, 8, 8, 8]
        socket.end(Buffer.from([5, replies[asked++] ?? 1, 0, 1, 0, 0, 0, 0, 0, 0]))
      },
      {
        lookup: async () =>
          Array.from({ length: 9 }, (_, index) => ({
            address: `192.0.2.${index}`,
            family: 4 as const,
          })),
      },
    )
    const error = await failure(dialed)
    expect(asked).toBe(9)
    expect([error.code, error.retry]).toEqual(['DIAL_PROXY_TARGET_FAILED', 'yes'])
    expect(error.message).toContain('192.0.2.1')
  })

  it('asks a port that is not SOCKS at most twice', async () => {
    let connections = 0
    const { dialed } = await through(
      'socks5',
      ({ socket }) => {
        connections += 1
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      },
      { lookup: async () => [...(await both()), { address: '192.0.2.2', family: 4 }] },
    )
    expect((await failure(dialed)).code).toBe('DIAL_PROXY_PROTOCOL')
    expect(connections).toBe(2)
  })
})

describe('SOCKS4', () => {
  // version 0, reply 90, port, address
  const granted = hex('00 5a 0000 00000000')

  it('sends user and name with socks4a', async () => {
    let request = ''
    const { dialed } = await through(
      'socks4a',
      async ({ read, send }) => {
        request = (await read(8 + 3 + 12)).toString('latin1')
        send(Buffer.concat([granted, Buffer.from('banner')]))
      },
      { user: 'me@' },
    )
    const socket = await dialed
    expect(await text(socket, 6)).toBe('banner')
    socket.destroy()
    expect(request).toBe('\x04\x01\x1f\x90\0\0\0\x01me\0server.test\0')
  })

  it('sends the first IPv4 address with socks4', async () => {
    let request = ''
    const { dialed } = await through(
      'socks4',
      async ({ read, send }) => {
        request = (await read(9)).toString('hex')
        send(granted)
      },
      {
        lookup: async () => [
          { address: '2001:db8::1', family: 6 },
          { address: '192.0.2.1', family: 4 },
        ],
      },
    )
    const socket = await dialed
    socket.destroy()
    expect(request).toBe('04011f90c000020100')
  })

  it('reports that it does not support IPv6', async () => {
    const { dialed } = await through('socks4', () => {}, { target: { host: '::1', port: 1 } })
    expect((await failure(dialed)).code).toBe('DIAL_PROXY_ADDRESS_TYPE')
  })

  it.each([
    ['00 5b 0000 00000000', 'DIAL_PROXY_TARGET_FAILED'],
    ['00 5c 0000 00000000', 'DIAL_PROXY_AUTH_FAILED'],
    ['00 5d 0000 00000000', 'DIAL_PROXY_AUTH_FAILED'],
    ['48 54 54 50 2f 31 2e 31', 'DIAL_PROXY_PROTOCOL'],
  ])('maps the reply %s to %s', async (answer, code) => {
    const { dialed } = await through('socks4a', ({ send }) => send(hex(answer)))
    expect((await failure(dialed)).code).toBe(code)
  })
})
