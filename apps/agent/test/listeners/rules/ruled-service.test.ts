// Rules of a listener between a stream, as a server opens it, and real services.
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'

import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { resetReasonName } from '@proj/tunnel/io'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'

import { HttpRules } from '../../../src/listeners/rules/http-rules.ts'
import { RuledService } from '../../../src/listeners/rules/ruled-service.ts'
import { listenerOf, request, served } from '../served.ts'

const folder = temporaryDirectory()
afterAll(() => folder[Symbol.dispose]())

interface Service {
  readonly port: number
  readonly connections: () => number
}

async function started(server: Server): Promise<Service> {
  let connections = 0
  server.on('connection', () => (connections += 1))
  const one = await listening(server)
  onTestFinished(() => one.close())
  return { port: one.port, connections: () => connections }
}

const http = async (handler: RequestListener): Promise<Service> =>
  await started(createHttpServer(handler))
const tcp = async (accept: (socket: Socket) => void): Promise<Service> =>
  await started(createServer({ allowHalfOpen: true }, accept))

/** Answers with what came: the request line, and the headers that a rule may change. */
const echo: RequestListener = (incoming, response) => {
  const { host, origin, referer } = incoming.headers
  const seen = { line: `${incoming.method} ${incoming.url}`, host, origin, referer }
  response.end(`${JSON.stringify({ ...seen, x: incoming.headers['x-seen'] })}\n`)
}

const visitor = 'X-Forwarded-For: 192.0.2.7'
const secure = 'X-Forwarded-Proto: https'

test('host_header: service puts every name right, there and back', async () => {
  const service = await http((incoming, response) => {
    response.setHeader('Set-Cookie', ['a=1; Domain=localhost; Path=/', 'b=2'])
    response.setHeader('Refresh', `9; url=http://${incoming.headers.host}/r`)
    response.setHeader('Location', `http://${incoming.headers.host}/next`)
    echo(incoming, response)
  })
  const one = await served(folder, `addr: ${service.port}, host_header: service`)
  const origin = 'https://web.tunnel.example'
  const lines = [secure, `Origin: ${origin}`, `Referer: ${origin}/page`]
  const answer = await one.ask(request('GET /a?b', ...lines), '}\n')
  const host = `localhost:${service.port}`
  expect(answer).toContain(
    JSON.stringify({
      line: 'GET /a?b',
      host,
      origin: `http://${host}`,
      referer: `http://${host}/page`,
    }),
  )
  expect(answer).toContain('Set-Cookie: a=1; Domain=web.tunnel.example; Path=/\r\n')
  expect(answer).toContain('Set-Cookie: b=2\r\n')
  expect(answer).toContain(`Refresh: 9; url=${origin}/r\r\n`)
  expect(answer).toContain(`Location: ${origin}/next\r\n`)
})

test('host_header: a name; another origin stays what it is', async () => {
  const service = await http(echo)
  const one = await served(folder, `addr: ${service.port}, host_header: app.example:81`)
  const answer = await one.ask(request('GET /', 'Origin: https://other.example'), '}\n')
  expect(answer).toContain('"host":"app.example:81","origin":"https://other.example"')
})

test('headers are set, added and removed, with the address of the visitor, the request and the endpoint', async () => {
  const service = await http((incoming, response) => {
    response.setHeader('Server', 'secret')
    response.end(`${String(incoming.headers['x-seen'])} ${incoming.headers.cookie}\n`)
  })
  const rules = [
    "request_headers: ['X-Seen: {visitor} {request_id} {endpoint}', '-Cookie']",
    "response_headers: ['-Server', '+X-Extra: 1']",
  ]
  const one = await served(folder, `addr: ${service.port}, ${rules.join(', ')}`)
  const lines = [visitor, 'X-Request-Id: id-1', 'X-Seen: forged', 'Cookie: a=b']
  const answer = await one.ask(request('GET /', ...lines), 'undefined\n')
  expect(answer).toContain('192.0.2.7 id-1 web undefined\n')
  expect(answer).toContain('X-Extra: 1\r\n')
  expect(answer).not.toContain('secret')
})

test('prefixes are stripped and added', async () => {
  const service = await http(echo)
  const one = await served(folder, `addr: ${service.port}, strip_prefix: /app, add_prefix: /v1/`)
  expect(await one.ask(request('GET /app/x?y'), '}\n')).toContain('"line":"GET /v1/x?y"')
})

test('one stream keeps a connection for each service that it needs', async () => {
  const front = await http((_incoming, response) => response.end('front\n'))
  const api = await http((incoming, response) => response.end(`api ${incoming.url}\n`))
  const admin = await http((incoming, response) => response.end(`admin ${incoming.url}\n`))
  const routes = [
    `{ path: /api, addr: ${api.port}, strip_prefix: /api }`,
    `{ path: /api/admin, addr: ${admin.port} }`,
    "{ path: /old, redirect: 'https://new.example{path}', status: 301 }",
    "{ path: /robots.txt, body: 'User-agent: *' }",
    '{ path: /gone, status: 410 }',
  ]
  const one = await served(folder, `addr: ${front.port}, routes: [${routes.join(', ')}]`)
  const stream = one.open()
  const asked: readonly (readonly [string, string])[] = [
    ['GET /', 'front\n'],
    ['GET /api/a', 'api /a\n'],
    ['GET /api/admin/b', 'admin /api/admin/b\n'],
    ['GET /apis', 'front\n'],
    ['GET /old/x?y', 'location: https://new.example/old/x?y\r\ncontent-length: 0\r\n\r\n'],
    ['GET /robots.txt', 'content-length: 13\r\n\r\nUser-agent: *'],
    ['HEAD /robots.txt', 'content-length: 13\r\n\r\n'],
    ['GET /gone', 'HTTP/1.1 410 Gone\r\n'],
    ['GET /api/c', 'api /c\n'],
  ]
  let before = 0
  for (const [line, wanted] of asked) {
    stream.write(request(line))
    await until(() => stream.text().slice(before).includes(wanted), { what: `answer to ${line}` })
    await until(() => /\r\n\r\n/.test(stream.text().slice(before)))
    before = stream.text().length
  }
  expect([front, api, admin].map(({ connections }) => connections())).toEqual([1, 1, 1])
})

test('a path with signs that replacements have a meaning for is redirected as it is', async () => {
  const routes = "routes: [{ path: /old, redirect: 'https://new.example{path}' }]"
  const one = await served(folder, `addr: 9, ${routes}`)
  const path = "/old/$&/$`/$'/$$/{path}"
  expect(await one.ask(request(`GET ${path}`), '\r\n\r\n')).toContain(
    `location: https://new.example${path}\r\n`,
  )
})

test('a fixed answer does not take the body of its request for the next request', async () => {
  const service = await http(echo)
  const routes = "routes: [{ path: /no, status: 403, body: 'no' }]"
  const one = await served(folder, `addr: ${service.port}, ${routes}`)
  const stream = one.open()
  const smuggled = request('GET /smuggled')
  stream.write(request('POST /no', `Content-Length: ${smuggled.length}`) + smuggled)
  stream.write(request('GET /real'))
  await until(() => stream.text().includes('}\n'))
  expect(stream.text()).toContain('403 Forbidden')
  expect(stream.text()).toContain('"line":"GET /real"')
  expect(stream.text()).not.toContain('smuggled')
})

describe('what a service sends comes as it is', () => {
  test.each([
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    [
      'chunks with trailers',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n',
    ],
    [
      'interim answers',
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n',
    ],
    ['the end of the connection', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello'],
  ])('%s, one byte at a time', async (_, answer) => {
    const service = await tcp((socket) => {
      socket.setNoDelay(true)
      socket.once('data', () => {
        const send = (at: number): void => {
          if (at === answer.length) socket.end()
          else socket.write(answer.slice(at, at + 1), () => setImmediate(send, at + 1))
        }
        send(0)
      })
    })
    const one = await served(folder, `addr: ${service.port}, host_header: service`)
    const stream = one.open()
    stream.write(request('GET /'))
    await until(() => stream.text().length >= answer.length)
    expect(stream.text()).toBe(answer)
  })
})

test('100 Continue, and the body behind it', async () => {
  const service = await http((incoming, response) => {
    incoming.setEncoding('latin1').on('data', (text: string) => response.write(text))
    incoming.on('end', () => response.end('!'))
  })
  const one = await served(folder, `addr: ${service.port}, host_header: service`)
  const stream = one.open()
  stream.write(request('POST /', 'Content-Length: 4', 'Expect: 100-continue'))
  await until(() => stream.text().includes('100 Continue\r\n\r\n'))
  stream.write('body')
  await until(() => stream.text().includes('0\r\n\r\n'))
  expect(stream.text()).toContain('4\r\nbody\r\n1\r\n!\r\n0\r\n\r\n')
})

test('an upgrade: bytes both ways, what was sent with the head too, and a half-close', async () => {
  const service = await tcp((socket) => {
    socket.once('data', (head) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nfirst',
      )
      socket.on('data', (chunk) => socket.write(`<${chunk.toString()}>`))
      socket.on('end', () => socket.end(`end ${/Host: (\S+)/i.exec(head.toString())?.[1]}`))
    })
  })
  const one = await served(folder, `addr: ${service.port}, host_header: service`)
  const stream = one.open()
  stream.write(`${request('GET /', 'Upgrade: x', 'Connection: Upgrade')}GET / HTTP/1.1\r\n`)
  await until(() => stream.text().includes('first<GET / HTTP/1.1\r\n>'))
  stream.end()
  await until(() => stream.hasEnded())
  expect(stream.text()).toContain(`end localhost:${service.port}`)
})

test('a service that ends its connection between requests gets a new one', async () => {
  let ended = 0
  const service = await tcp((socket) => {
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'))
    socket.on('end', () => (ended += 1)) // the agent has seen the end, and ended its side
  })
  const one = await served(folder, `addr: ${service.port}, host_header: service`)
  const stream = one.open()
  for (const turn of [1, 2, 3]) {
    stream.write(request('GET /'))
    await until(() => stream.text().split('hi').length === turn + 1 && ended === turn)
  }
  expect([stream.hasEnded(), stream.reason()]).toEqual([false, undefined])
})

test('bytes beyond an answer reach no visitor', async () => {
  const service = await tcp((socket) => {
    socket.on('data', () =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n'),
    )
  })
  const one = await served(folder, `addr: ${service.port}, host_header: service`)
  const stream = one.open()
  for (const turn of [1, 2]) {
    stream.write(request('GET /'))
    await until(() => stream.text().split('hi').length === turn + 1)
  }
  expect(stream.text()).toBe('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'.repeat(2))
  expect(service.connections()).toBe(2)
})

test('a service that breaks in the middle of an answer, and one that ends there', async () => {
  const part = 'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf'
  const broken = await tcp((socket) =>
    socket.once('data', () => socket.write(part, () => socket.resetAndDestroy())),
  )
  const ended = await tcp((socket) => socket.once('data', () => socket.end(part)))
  const first = (await served(folder, `addr: ${broken.port}, host_header: service`)).open()
  first.write(request('GET /'))
  await until(() => first.reason() !== undefined)
  expect(first.text()).toBe(part)
  expect(resetReasonName(first.reason() ?? 0)).toBe('serviceClosed') // as without rules
  const second = (await served(folder, `addr: ${ended.port}, host_header: service`)).open()
  second.write(request('GET /'))
  await until(() => second.hasEnded())
  expect(second.text()).toBe(part)
})

test('an answer that is not HTTP is passed on unread, for the server to judge', async () => {
  const nonsense = 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'
  const service = await tcp((socket) => socket.on('data', () => socket.write(nonsense)))
  const one = await served(folder, `addr: ${service.port}, host_header: service`)
  const stream = one.open()
  stream.write(request('GET /'))
  await until(() => stream.text().endsWith('ab'))
  expect(stream.text()).toBe(nonsense)
  stream.write(request('GET /again'))
  stream.end()
  await until(() => stream.text() === nonsense)
})

test('a service of a route that is not there: the reason names what happened, and the log which it is', async () => {
  const free = await tcp(() => {})
  const gone = await listening(createServer())
  await gone.close()
  const one = await served(
    folder,
    `addr: ${free.port}, routes: [{ path: /api, addr: '127.0.0.1:${gone.port}' }]`,
  )
  const stream = one.open()
  stream.write(request('GET /api'))
  await until(() => stream.reason() !== undefined)
  expect(resetReasonName(stream.reason() ?? 0)).toBe('serviceRefused')
  const warnings = one.logger.records.filter(({ level }) => level === 'warn')
  expect(warnings).toMatchObject([
    { message: 'service not reached', fields: { service: `127.0.0.1:${gone.port}` } },
  ])
})

test('what is no request is answered with 400, and the stream ends', async () => {
  const service = await http(echo)
  const one = await served(folder, `addr: ${service.port}, host_header: service`)
  const stream = one.open({ kind: 'tcp', visitorAddress: '192.0.2.7' })
  stream.write('nonsense\r\n\r\n')
  await until(() => stream.hasEnded())
  expect(stream.text()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
  expect(service.connections()).toBe(0)
})

describe('request_timeout', () => {
  const HOUR_MS = 3_600_000

  /** Timers that the test moves; those that it waits with itself are of another module. */
  function frozenTimers(): void {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
  }

  test('without an answer: 504, and the service sees that its request is given up', async () => {
    let asked = 0
    const ends: string[] = []
    const service = await tcp((socket) => {
      socket.on('data', () => (asked += 1))
      socket.on('error', (error) => ends.push('code' in error ? String(error.code) : error.message))
    })
    const one = await served(folder, `addr: ${service.port}, request_timeout: 1h`)
    frozenTimers()
    const stream = one.open()
    stream.write(`${request('POST /', 'Content-Length: 4')}bo`)
    await until(() => asked > 0)
    vi.advanceTimersByTime(HOUR_MS - 1)
    expect(stream.text()).toBe('')
    vi.advanceTimersByTime(1)
    await until(() => stream.hasEnded() && ends.length > 0)
    expect(ends).toEqual(['ECONNRESET'])
    expect(stream.text()).toMatch(/^HTTP\/1\.1 504 Gateway Timeout\r\n/)
    expect(stream.text()).toContain('adit-error: service_timeout\r\n')
    expect(stream.text()).toContain('connection: close\r\n')
    expect(stream.text()).toContain('{"error":"upstream timeout: ')
    expect(stream.reason()).toBeUndefined()
  })

  test('in the middle of an answer: the stream is reset', async () => {
    const part = 'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf'
    const service = await tcp((socket) => socket.once('data', () => socket.write(part)))
    const one = await served(folder, `addr: ${service.port}, request_timeout: 1h`)
    frozenTimers()
    const stream = one.open()
    stream.write(request('GET /'))
    await until(() => stream.text() === part)
    vi.advanceTimersByTime(HOUR_MS)
    await until(() => stream.reason() !== undefined)
    expect(stream.text()).toBe(part)
  })

  test('not between requests, and not while a WebSocket is open', async () => {
    const service = await http((_incoming, response) => response.end('done\n'))
    const one = await served(folder, `addr: ${service.port}, request_timeout: 1h`)
    const upgraded = await tcp((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n')
        socket.pipe(socket)
      })
    })
    const other = await served(folder, `addr: ${upgraded.port}, request_timeout: 1h`)
    frozenTimers()
    const stream = one.open()
    for (const turn of [1, 2]) {
      stream.write(request('GET /'))
      await until(() => stream.text().split('done\n').length === turn + 1)
      vi.advanceTimersByTime(HOUR_MS)
    }
    const socket = other.open()
    socket.write(request('GET /', 'Upgrade: websocket', 'Connection: Upgrade'))
    await until(() => socket.text().endsWith('\r\n\r\n'))
    vi.advanceTimersByTime(HOUR_MS)
    socket.write('still here')
    await until(() => socket.text().endsWith('still here'))
    expect([stream.hasEnded(), stream.reason()]).toEqual([false, undefined])
  })

  test('while it connects: 504, and no more is connected', async () => {
    const { setting } = await listenerOf(folder, 'addr: 1, request_timeout: 1h')
    if (setting === undefined) throw new Error('the settings were rejected')
    frozenTimers()
    let aborted: AbortSignal | undefined
    const service = new RuledService({
      rules: new HttpRules(setting),
      strictness: 'lenient',
      requestTimeoutMs: setting.requestTimeoutMs,
      visitor: 'forwarded',
      dial: async (_, signal) => {
        aborted = signal
        return await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('given up')))
        })
      },
    })
    const received: string[] = []
    service.on('data', (chunk: Buffer) => received.push(chunk.toString()))
    service.write(request('GET /'))
    await until(() => aborted !== undefined)
    vi.advanceTimersByTime(HOUR_MS)
    await until(() => service.readableEnded)
    expect(received.join('')).toMatch(/^HTTP\/1\.1 504 /)
    expect([aborted?.aborted, service.errored]).toEqual([true, null])
    service.destroy()
  })
})

describe('cors', () => {
  test('preflights are answered here, answers are marked, and the service is not asked twice', async () => {
    const service = await http((_incoming, response) => {
      response.setHeader('Access-Control-Allow-Origin', 'https://wrong.example')
      response.end('data\n')
    })
    const one = await served(folder, `addr: ${service.port}, cors: ['https://page.example']`)
    const stream = one.open()
    const origin = 'Origin: https://page.example'
    const asked = ['Access-Control-Request-Method: PUT', 'Access-Control-Request-Headers: x-a, x-b']
    stream.write(request('OPTIONS /a', origin, ...asked))
    await until(() => stream.text().includes('\r\n\r\n'))
    expect(stream.text()).toMatch(/^HTTP\/1\.1 204 No Content\r\n/)
    expect(stream.text()).toContain('access-control-allow-methods: PUT\r\n')
    expect(stream.text()).toContain('access-control-allow-headers: x-a, x-b\r\n')
    expect(stream.text()).not.toContain('content-length')
    expect(service.connections()).toBe(0)
    stream.write(request('GET /a', origin))
    await until(() => stream.text().includes('data\n'))
    expect(
      stream.text().split('access-control-allow-origin: https://page.example\r\n'),
    ).toHaveLength(3)
    expect(stream.text()).not.toContain('wrong')
  })

  test('another origin gets nothing, and * is for all, without credentials', async () => {
    const service = await http((_incoming, response) => {
      response.setHeader('Access-Control-Allow-Origin', '*')
      response.setHeader('Access-Control-Allow-Credentials', 'true')
      response.end('data\n')
    })
    const some = await served(folder, `addr: ${service.port}, cors: ['https://page.example']`)
    const other = await some.ask(request('GET /', 'Origin: https://other.example'), 'data\n')
    expect(other).not.toMatch(/access-control/i)
    expect(other).toContain('vary: Origin\r\n') // a cache must not give this answer to the page
    expect(await some.ask(request('GET /'), 'data\n')).toContain('vary: Origin\r\n')
    const all = await served(folder, `addr: ${service.port}, cors: ['*']`)
    const any = await all.ask(request('GET /', 'Origin: https://other.example'), 'data\n')
    expect(any).toContain('access-control-allow-origin: *\r\n')
    expect(any).not.toMatch(/credentials/i)
    expect(any).not.toContain('vary')
    const none = await some.ask(request('GET /', 'Origin: null'), 'data\n')
    expect(none).not.toMatch(/access-control/i)
  })
})

test('rules stand behind the rules for visitors that the agent enforces', async () => {
  const service = await http(echo)
  const visitors = 'visitors: { enforce: agent, allow: [192.0.2.0/24] }'
  const one = await served(folder, `addr: ${service.port}, host_header: service, ${visitors}`)
  expect(await one.ask(request('GET /', 'X-Forwarded-For: 198.51.100.1'), '\r\n\r\n')).toContain(
    '403',
  )
  expect(await one.ask(request('GET /', visitor), '}\n')).toContain(
    `"host":"localhost:${service.port}"`,
  )
  expect(service.connections()).toBe(1)
})

test.each([
  ['protocol: tcp, host_header: service', 'host_header'],
  ["protocol: tcp, request_headers: ['X-A: b']", 'request_headers'],
  ["protocol: tcp, cors: ['*']", 'cors'],
  ['protocol: tcp, strip_prefix: /a', 'strip_prefix'],
  ['protocol: tcp, routes: [{ path: /a, addr: 3001 }]', 'routes'],
  ['routes: [{ path: /a }]', 'routes[0].path'],
  ["routes: [{ path: /a, addr: 3001, body: 'x' }]", 'routes[0].path'],
  ["routes: [{ path: /a, redirect: '/b', status: 200 }]", 'routes[0].status'],
  ["routes: [{ path: /a, body: 'x', strip_prefix: /a }]", 'routes[0].path'],
  ['routes: [{ path: /a, addr: 1 }, { path: /a, addr: 2 }]', 'routes[1].path'],
  ["cors: ['https://page.example/path']", 'cors[0]'],
  ['strip_prefix: app', 'strip_prefix'],
])('%s is an error of the configuration', async (listener, key) => {
  const { problems } = await listenerOf(folder, `addr: 3000, ${listener}`)
  expect(problems).toMatchObject([{ key: `listeners[0].${key}`, severity: 'error' }])
})

describe.each([
  ['its length', 'Content-Length: 8\r\n\r\npart', 'rest'],
  ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n', '4\r\nrest\r\n0\r\n\r\n'],
])('an answer with %s whose service hangs in the middle', (_, part, rest) => {
  /** The stream has the first part, and the service sends no more. */
  async function hanging() {
    let hung: Socket | undefined
    const service = await tcp((socket) => {
      hung = socket
      socket.on('error', () => {})
      socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${part}`))
    })
    const one = await served(folder, `addr: ${service.port}, host_header: service`)
    const stream = one.open()
    stream.write(request('GET /'))
    await until(() => stream.text().includes('part'))
    if (hung === undefined) throw new Error('not asked')
    return { stream, service: hung }
  }

  test('arrives at once as far as it was sent, and its rest later', async () => {
    const { stream, service } = await hanging()
    service.write(rest)
    await until(() => stream.text().endsWith(rest))
    expect([stream.hasEnded(), stream.reason()]).toEqual([false, undefined])
  })

  test('gets nothing added when the service ends there, so that it is not whole', async () => {
    const { stream, service } = await hanging()
    service.end()
    await until(() => stream.hasEnded() || stream.reason() !== undefined)
    expect(stream.text().endsWith(part.slice(part.indexOf('part')))).toBe(true)
  })
})
