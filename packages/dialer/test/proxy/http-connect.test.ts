import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'

import { scriptedPeer, type ScriptedConnection } from '@proj/testkit/scripted-peer'
import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { dial, type DialOptions } from '../../src/index.ts'
import { failure } from '../failure.ts'

const TARGET = { host: 'server.test', port: 8443 }

/** Dials through a proxy that answers each CONNECT with the given bytes. */
async function through(
  answer: string | ((connection: ScriptedConnection, index: number) => Promise<void> | void),
  options: DialOptions & { readonly user?: string } = {},
) {
  const requests: string[] = []
  const proxy = await scriptedPeer(async (connection, index) => {
    requests.push(await connection.readUntil('\r\n\r\n'))
    if (typeof answer === 'string') connection.send(answer)
    else await answer(connection, index)
  })
  const { user = '', ...rest } = options
  const url = `http://${user}${proxy.authority}`
  return { requests, proxy, dialed: dial(TARGET, { proxy: url, ...rest }) }
}

async function text(socket: Socket, length: number): Promise<string> {
  let bytes = Buffer.alloc(0)
  while (bytes.length < length) {
    const [chunk] = await once(socket, 'data')
    bytes = Buffer.concat([bytes, chunk as Buffer])
  }
  return bytes.toString('latin1')
}

describe('CONNECT', () => {
  it('sends the authority, the credentials and the extra headers', async () => {
    const { requests, dialed } = await through('HTTP/1.1 200 OK\r\n\r\n', {
      user: 'al%40ice:p%3Aw@',
      proxyHeaders: { 'x-team': 'blue' },
    })
    const socket = await dialed
    socket.destroy()
    expect(requests[0]).toBe(
      'CONNECT server.test:8443 HTTP/1.1\r\nHost: server.test:8443\r\n' +
        'Proxy-Connection: keep-alive\r\nx-team: blue\r\n' +
        `Proxy-Authorization: Basic ${Buffer.from('al@ice:p:w').toString('base64')}\r\n\r\n`,
    )
  })

  it('puts an IPv6 target into brackets and drops its zone', async () => {
    const proxy = await scriptedPeer(async (connection) => {
      const request = await connection.readUntil('\r\n\r\n')
      connection.send(`HTTP/1.1 200 OK\r\n\r\n${request.split(' ')[1]}`)
    })
    const socket = await dial(
      { host: 'fe80::1%lo', port: 1 },
      { proxy: `http://${proxy.authority}` },
    )
    expect(await text(socket, 11)).toBe('[fe80::1]:1')
    socket.destroy()
  })

  it.each([
    ['200 with a reason', 'HTTP/1.1 200 Connection established\r\n\r\n'],
    ['200 without a reason', 'HTTP/1.1 200\r\n\r\n'],
    ['201', 'HTTP/1.1 201 Created\r\n\r\n'],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['HTTP/1.0 with headers', 'HTTP/1.0 200 OK\r\nProxy-agent: tinyproxy\r\n\r\n'],
    ['lines that end in LF', 'HTTP/1.1 200 OK\nVia: x\n\n'],
    ['lower case', 'http/1.1 200 ok\r\n\r\n'],
    [
      'interim answers first',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    ],
    ['a Content-Length, which is ignored', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'],
  ])('accepts %s, and keeps the bytes after it', async (_name, head) => {
    const { dialed } = await through(`${head}banner`)
    const socket = await dialed
    // There was no listener until now, for several turns of the event loop.
    await setImmediate()
    await setImmediate()
    expect(await text(socket, 6)).toBe('banner')
    socket.destroy()
  })

  it('accepts a reply that arrives byte by byte', async () => {
    const { dialed } = await through((connection) =>
      connection.drip('HTTP/1.1 200 OK\r\nVia: x\r\n\r\nbanner'),
    )
    const socket = await dialed
    expect(await text(socket, 6)).toBe('banner')
    socket.destroy()
  })

  it('keeps the bytes after the reply for every split into segments', async () => {
    const answer = 'HTTP/1.1 200 OK\r\n\r\nbanner'
    for (let cut = 1; cut < answer.length; cut += 1) {
      const { dialed } = await through(async ({ send, socket }) => {
        send(answer.slice(0, cut))
        await new Promise<void>((resolve) => socket.write('', () => resolve()))
        await setImmediate()
        send(answer.slice(cut))
      })
      const socket = await dialed
      expect(await text(socket, 6)).toBe('banner')
      socket.destroy()
    }
  })

  it.each([
    ['302 Found\r\nLocation: http://login.test/x?y', 'DIAL_PROXY_CAPTIVE', 'slow', 'login.test'],
    ['511 Network Authentication Required', 'DIAL_PROXY_CAPTIVE', 'slow', 'login page'],
    ['400 Bad Request', 'DIAL_PROXY_PROTOCOL', 'slow', 'CONNECT'],
    ['405 Method Not Allowed', 'DIAL_PROXY_PROTOCOL', 'slow', 'CONNECT'],
    [
      '403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0',
      'DIAL_PROXY_DENIED',
      'slow',
      'ERR_ACCESS_DENIED',
    ],
    ['404 No such domain', 'DIAL_PROXY_TARGET_FAILED', 'slow', 'server.test:8443'],
    ['500 Unable to connect', 'DIAL_PROXY_TARGET_FAILED', 'slow', 'Unable to connect'],
    ['502 Bad Gateway', 'DIAL_PROXY_TARGET_FAILED', 'yes', '502'],
    ['503 Service Unavailable', 'DIAL_PROXY_TARGET_FAILED', 'yes', '503'],
    ['504 Gateway Timeout', 'DIAL_PROXY_TARGET_FAILED', 'yes', '504'],
    ['407 Auth\r\nProxy-Authenticate: Basic realm="x"', 'DIAL_PROXY_AUTH_REQUIRED', 'no', '407'],
    ['407 Auth', 'DIAL_PROXY_AUTH_REQUIRED', 'no', '407'],
    ['401 Unauthorized', 'DIAL_PROXY_AUTH_REQUIRED', 'no', '401'],
    [
      '407 Auth\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate',
      'DIAL_PROXY_AUTH_UNSUPPORTED',
      'no',
      'ntlm, negotiate',
    ],
    [
      '407 Auth\r\nProxy-Authenticate: Digest realm="a, b", nonce="x", algorithm=SHA-999',
      'DIAL_PROXY_AUTH_UNSUPPORTED',
      'no',
      'only digest for',
    ],
    [
      '407 Auth\r\nProxy-Authenticate: Digest realm="a, b", nonce="x"',
      'DIAL_PROXY_AUTH_REQUIRED',
      'no',
      '407',
    ],
    [
      '407 Auth\r\nProxy-Authenticate: NTLM, Basic realm="x"',
      'DIAL_PROXY_AUTH_REQUIRED',
      'no',
      '407',
    ],
  ])('maps %j to %s, retry %s', async (reply, code, retry, said) => {
    const { dialed, proxy } = await through(`HTTP/1.1 ${reply}\r\n\r\n`)
    const error = await failure(dialed)
    expect([error.code, error.retry, error.leg]).toEqual([code, retry, 'proxy'])
    expect(error.message).toContain(said)
    expect(error.message).toContain(`http://${proxy.authority}`)
    expect(error.hint).toBeTruthy()
    await until(() => proxy.sockets.size === 0)
  })

  it('reports a wrong password and a missing one separately, without the password', async () => {
    const { dialed } = await through('HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n', {
      user: 'alice:hunter2@',
    })
    const error = await failure(dialed)
    expect(error.code).toBe('DIAL_PROXY_AUTH_FAILED')
    const basic = Buffer.from('alice:hunter2').toString('base64')
    const shown = `${inspect(error, { depth: 9, showHidden: true })}${JSON.stringify(error)}${error.stack}`
    expect(shown).toContain('alice:***@')
    expect(shown).not.toContain('hunter2')
    expect(shown).not.toContain(basic)
  })

  it.each([
    ['SSH-2.0-OpenSSH\r\n', 'SSH-2.0-OpenSSH', 'check port'],
    ['\x15\x03\x01\x00\x02\x02\x46', 'TLS', 'https://'],
    ['\x05\xff', 'SOCKS', 'socks5h://'],
    ['HTTP/2 200\r\n\r\n', 'HTTP', 'check port'],
  ])('recognises from the first bytes that %j is not an HTTP proxy', async (bytes, looks, hint) => {
    const { dialed } = await through(bytes)
    const error = await failure(dialed)
    expect(error.code).toBe('DIAL_PROXY_PROTOCOL')
    expect(error.message).toContain(looks)
    expect(error.hint).toContain(hint)
  })

  it('reports a proxy that closes or resets the connection without a reply', async () => {
    for (const end of ['end', 'resetAndDestroy'] as const) {
      const { dialed } = await through(({ socket }) => void socket[end]())
      const error = await failure(dialed)
      expect(error.code).toBe('DIAL_PROXY_PROTOCOL')
      expect(error.hint).toContain('https://')
    }
  })

  it('limits the head of the reply to 16 KiB', async () => {
    const filler = (size: number): string => {
      const start = 'HTTP/1.1 200 OK\r\nx: '
      return `${start}${'x'.repeat(size - start.length - 4)}\r\n\r\n`
    }
    for (const size of [16_383, 16_384]) {
      const { dialed } = await through(filler(size))
      ;(await dialed).destroy()
    }
    const { dialed } = await through(({ socket }) => {
      const more = (): void => {
        while (socket.writable && socket.write('x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'));
        socket.once('drain', more)
      }
      socket.write('HTTP/1.1 200 OK\r\n')
      more()
    })
    const error = await failure(dialed)
    expect(error.code).toBe('DIAL_PROXY_PROTOCOL')
    expect(error.message).toContain('16384')
  })

  it('times out a proxy that does not respond, and one that sends single bytes', async () => {
    for (const script of [
      () => {},
      async ({ drip }: ScriptedConnection) => {
        await drip('HTTP/1.1 200 OK\r\n')
        for (;;) await drip('x: y\r\n')
      },
    ]) {
      const { dialed, proxy } = await through(script, { timeouts: { proxyMs: 60 } })
      const error = await failure(dialed)
      expect(['DIAL_PROXY_TIMEOUT', 'DIAL_PROXY_PROTOCOL']).toContain(error.code)
      await until(() => proxy.sockets.size === 0)
    }
  })

  it('rejects with the reason of the signal and leaves no connection and no listener', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const { dialed, proxy } = await through(() => controller.abort(reason), {
      signal: controller.signal,
    })
    await expect(dialed).rejects.toBe(reason)
    await until(() => proxy.sockets.size === 0)
  })

  it('treats a page after a 200 as a login portal', async () => {
    const { dialed } = await through('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>')
    expect((await failure(dialed)).code).toBe('DIAL_PROXY_CAPTIVE')
  })

  it('has the leg proxy when the proxy cannot be reached', async () => {
    const refused = await failure(dial(TARGET, { proxy: 'http://127.0.0.1:1' }))
    expect([refused.code, refused.leg]).toEqual(['DIAL_CONNECT_REFUSED', 'proxy'])
    expect(refused.message).toContain('the proxy at 127.0.0.1:1')
  })
})

describe('proxyAuthorize', () => {
  const challenge = (rest: string): string =>
    `HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\n${rest}`

  it('answers a 407 on the same connection when the proxy keeps it', async () => {
    const seen: unknown[] = []
    const { dialed, requests } = await through(
      async ({ send, readUntil }) => {
        send(challenge('Content-Length: 4\r\n\r\nnope'))
        const second = await readUntil('\r\n\r\n')
        requests.push(second)
        send('HTTP/1.1 200 OK\r\n\r\n')
      },
      {
        proxyAuthorize: async (asked) => {
          seen.push(asked)
          return 'Negotiate abc'
        },
      },
    )
    const socket = await dialed
    socket.destroy()
    expect(seen).toEqual([
      {
        proxyHost: '127.0.0.1',
        method: 'CONNECT',
        target: 'server.test:8443',
        round: 1,
        connection: 1,
        exchange: {},
        challenges: ['Negotiate'],
        schemes: ['negotiate'],
      },
    ])
    expect(requests[1]).toContain('Proxy-Authorization: Negotiate abc\r\n')
  })

  it.each(['Connection: close\r\n\r\n', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', '\r\n'])(
    'answers it on a new connection after %j',
    async (rest) => {
      const { dialed, requests } = await through(
        ({ send, socket }, index) => {
          if (index === 0) {
            send(challenge(rest))
            socket.end()
          } else send('HTTP/1.1 200 OK\r\n\r\n')
        },
        { proxyAuthorize: () => 'Negotiate abc' },
      )
      const socket = await dialed
      socket.destroy()
      expect(requests).toHaveLength(2)
      expect(requests[1]).toContain('Negotiate abc')
    },
  )

  it('repeats no rejected answer, and fails when proxyAuthorize returns undefined', async () => {
    let asked = 0
    const again = await through(
      async ({ send, readUntil }) => {
        send(challenge('Content-Length: 0\r\n\r\n'))
        await readUntil('\r\n\r\n')
        send(challenge('Content-Length: 0\r\n\r\n'))
      },
      { proxyAuthorize: () => `Negotiate ${(asked += 1)}` },
    )
    expect((await failure(again.dialed)).code).toBe('DIAL_PROXY_AUTH_FAILED')
    expect(asked).toBe(1)
    const none = await through(challenge('Content-Length: 0\r\n\r\n'), {
      proxyAuthorize: () => undefined,
    })
    expect((await failure(none.dialed)).code).toBe('DIAL_PROXY_AUTH_UNSUPPORTED')
  })

  it.each(['NTLM', 'Negotiate', 'Kerberos'])(
    'goes through the rounds of %s on one connection, at most five times',
    async (scheme) => {
      const rounds: unknown[] = []
      const exchanges = new Set<object>()
      const answering = async (tokens: number) =>
        through(
          async ({ send, readUntil }) => {
            for (let token = 0; ; token += 1) {
              const text = token === 0 ? scheme : `${scheme} dG9r${token}==`
              send(
                token > tokens
                  ? 'HTTP/1.1 200 OK\r\n\r\n'
                  : `HTTP/1.1 407 Auth\r\nProxy-Authenticate: ${text}\r\nContent-Length: 0\r\n\r\n`,
              )
              await readUntil('\r\n\r\n')
            }
          },
          {
            proxyAuthorize: ({ round, connection, exchange, challenges }) => {
              rounds.push([round, connection, ...challenges])
              exchanges.add(exchange)
              return `${scheme} round-${round}`
            },
          },
        )
      const { dialed } = await answering(2)
      const socket = await dialed
      socket.destroy()
      expect(rounds).toEqual([
        [1, 1, scheme],
        [2, 1, `${scheme} dG9r1==`],
        [3, 1, `${scheme} dG9r2==`],
      ])
      expect(exchanges.size).toBe(1)
      rounds.length = 0
      const endless = await answering(Infinity)
      expect((await failure(endless.dialed)).code).toBe('DIAL_PROXY_AUTH_FAILED')
      expect(rounds).toHaveLength(5)
    },
  )

  it('counts the connections, so that a plug-in can start again', async () => {
    const rounds: unknown[] = []
    const { dialed } = await through(
      async ({ send, socket }, index) => {
        if (index === 2) send('HTTP/1.1 200 OK\r\n\r\n')
        else socket.end(challenge('Connection: close\r\n\r\n').replace('Negotiate', 'NTLM YQ=='))
      },
      {
        proxyAuthorize: ({ round, connection }) => {
          rounds.push([round, connection])
          return 'NTLM abc'
        },
      },
    )
    const socket = await dialed
    socket.destroy()
    expect(rounds).toEqual([
      [1, 1],
      [2, 2],
    ])
  })

  it('rejects a value with a line end', async () => {
    const { dialed } = await through(challenge('Content-Length: 0\r\n\r\n'), {
      proxyAuthorize: () => 'x\r\ny: z',
    })
    await expect(dialed).rejects.toThrow('proxyAuthorize')
  })
})
