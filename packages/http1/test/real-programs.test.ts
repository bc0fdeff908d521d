// Both ways against programs that people run: services and proxies must find the same ends of messages in what is
// forwarded as we do. nginx is also the control for the shapes of answers: it gets them as the service sends them.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { Agent, createServer as createHttpServer, get, type IncomingMessage } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'

import { listening } from '@proj/testkit/listening'
import { connectRaw } from '@proj/testkit/raw-http'
import { REJECTED_ANSWERS, REPAIRED_ANSWERS } from '@proj/testkit/sloppy-answers'
import {
  apacheServer,
  caddyServer,
  gunicornServer,
  nginxServer,
  webPrograms,
} from '@proj/testkit/web-programs'
import { describe, expect, it } from 'vitest'

import { rewriteRequestHead } from '../src/forward-request.ts'
import { createBodyReader } from '../src/body-reader.ts'
import { RequestHeadReader } from '../src/request-head.ts'
import { ResponseHeadReader } from '../src/response-head.ts'
import { bytesOf } from './feeding.ts'
import { bodyOf, forward, type Forwarded } from './forwarding.ts'

const programs = webPrograms()

const INNER = 'GET /inner HTTP/1.1\r\nHost: a.b\r\n\r\n'
const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n'
const REQUESTS: readonly (readonly [string, string])[] = [
  ['two empty lines first', '\r\n\r\nGET / HTTP/1.1\r\nHost: a.b\r\n\r\n'],
  ['HTTP/1.0 without Host', 'GET / HTTP/1.0\r\nX: y\r\n\r\n'],
  ['HTTP/1.0 without Host, with an endpoint', 'GET / HTTP/1.0\r\nx-piko-endpoint: web\r\n\r\n'],
  ['HTTP/1.0 with an absolute target', 'GET http://a.b/ HTTP/1.0\r\n\r\n'],
  ['150 lines', `GET / HTTP/1.1\r\nHost: a.b\r\n${'X-A: b\r\n'.repeat(150)}\r\n`],
  [
    'a request as its body',
    `POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: ${INNER.length}\r\n\r\n${INNER}`,
  ],
  [
    'a request in a chunk of 16 digits',
    `POST / HTTP/1.1\r\nHost: a.b\r\n${CHUNKED}${INNER.length.toString(16).padStart(16, '0')}\r\n${INNER}\r\n0000000000000000\r\n\r\n`,
  ],
  [
    'a request behind an extension',
    `POST / HTTP/1.1\r\nHost: a.b\r\n${CHUNKED}${INNER.length.toString(16)};a="b;\\"c"\r\n${INNER}\r\n0\r\nX: y\r\n\r\n`,
  ],
]
const MARKER = 'GET /marker HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n'

/**
 * As {@link answersOf}, but the marker is sent behind the first answer: the threads of gunicorn leave a request that
 * came with the one before unread until the connection times out.
 */
async function answersInTurn(authority: string, text: string): Promise<string[]> {
  const [host = '', port] = authority.split(':')
  using connection = await connectRaw({ host, port: Number(port) })
  await connection.send(forwardedRequest(text))
  const bodies: string[] = []
  for (const next of [MARKER, '']) {
    const { status, body } = await connection.readResponse()
    if (status >= 400) return [...bodies, REJECTED]
    bodies.push(body.toString('latin1').trim())
    await connection.send(next)
  }
  return bodies
}

/** What the next hop gets of a request. */
function forwardedRequest(text: string): string {
  const read = new RequestHeadReader().push(bytesOf(text))
  if (read === undefined) throw new Error('not read')
  const { head, rest } = read
  expect(createBodyReader(head.framing).scan(rest, 0)).toBe(rest.length)
  const sent = rewriteRequestHead(head, { clientAddress: '192.0.2.1', scheme: 'http' })
  return sent + rest.toString('latin1')
}

const REJECTED = 'rejected'

/** Sends a request and one for the marker behind it; the bodies of all answers, until the service closes. */
async function answersOf(authority: string, text: string): Promise<string[]> {
  const [host = '', port] = authority.split(':')
  using connection = await connectRaw({ host, port: Number(port) })
  await connection.send(forwardedRequest(text) + MARKER)
  const reader = new ResponseHeadReader()
  const bodies: string[] = []
  let rest: Buffer = await connection.readToEnd()
  while (rest.length > 0) {
    const read = reader.push(rest, { method: 'GET' })
    if (read === undefined) throw new Error('no end of an answer')
    let body = ''
    const bodyReader = createBodyReader(read.head.framing, 'response')
    const end = bodyReader.scan(read.rest, 0, (piece) => (body += piece.toString('latin1')))
    bodies.push(read.head.status >= 400 ? REJECTED : body.trim())
    rest = read.rest.subarray(end)
  }
  return bodies
}

const SERVICES = [
  ['nginx', programs.nginx, nginxServer],
  ['Caddy', programs.caddy, caddyServer],
  ['Apache', programs.apache, apacheServer],
  ['gunicorn', programs.gunicorn, gunicornServer, answersInTurn],
] as const

describe('requests that are forwarded', () => {
  for (const [name, program, start, send = answersOf] of SERVICES) {
    it.skipIf(program === undefined)(
      `have the same ends for ${name}`,
      async () => {
        const server = await start(program ?? '')
        try {
          for (const [what, text] of REQUESTS) {
            const answers = await send(server.authority, text)
            // A head that a service does not take is the last that it reads.
            const isRejected = answers.length === 1 && /lines|without Host$/.test(what)
            const last = isRejected ? [REJECTED] : ['marker']
            expect([what, answers.slice(isRejected ? 0 : 1)]).toEqual([what, last])
          }
        } finally {
          await server.stop()
        }
      },
      60_000,
    )
  }

  it('have the same ends for Node', async () => {
    const service = createHttpServer((request, response) => {
      request.resume().on('end', () => response.end(request.url === '/marker' ? 'marker' : 'other'))
    })
    await using server = await listening(service)
    for (const [what, text] of REQUESTS) {
      const answers = await answersOf(server.authority, text)
      expect([what, answers]).toEqual([what, ['other', 'marker']])
    }
  })
})

/** Shapes that are repaired, as they are forwarded. */
const FORWARDED = REPAIRED_ANSWERS.map(({ method, bytes }) => {
  const answer = forward([bytesOf(bytes)], 'lenient', { method })
  if (typeof answer !== 'object') throw new Error(`rejected: ${answer}`)
  return answer
})

function sentOf(answer: Forwarded): Buffer {
  return bytesOf(answer.head + bodyOf(answer))
}

/**
 * Answers /sent/N with a shape as we forward it, on a connection that goes on, and /raw/N and /rejected/N with
 * one as the service sends it.
 */
function edge(socket: Socket): void {
  const marker = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nmarker'
  let text = ''
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      const [, kind = '', number] = /^\w+ \/(\w+)(?:\/(\d+))? /.exec(text) ?? []
      text = text.slice(end + 4)
      const at = Number(number)
      const sent = FORWARDED[at]
      const raw = kind === 'raw' ? REPAIRED_ANSWERS[at] : REJECTED_ANSWERS[at]
      if (kind === 'sent' && sent !== undefined) socket.write(sentOf(sent))
      else if (kind === 'marker') socket.write(marker)
      else if (raw !== undefined) socket.end(bytesOf(raw.bytes))
    }
  })
}

/** One request on a connection of its own, through a proxy. */
async function through(authority: string, method: string, path: string): Promise<string> {
  const [host = '', port] = authority.split(':')
  using connection = await connectRaw({ host, port: Number(port) })
  await connection.send(`${method} ${path} HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n`)
  const { status, body } = await connection.readResponse(method)
  return status >= 500 ? `${status}` : body.toString('latin1')
}

const PROXIES = [
  ['nginx', programs.nginx, nginxServer],
  ['Caddy', programs.caddy, caddyServer],
] as const

describe('answers that are forwarded', () => {
  for (const [name, program, start] of PROXIES) {
    it.skipIf(program === undefined)(
      `have the same ends for ${name}`,
      async () => {
        await using server = await listening(createServer(edge))
        const proxy = await start(program ?? '', server.port)
        try {
          for (const [at, shape] of REPAIRED_ANSWERS.entries()) {
            const body = await through(proxy.authority, shape.method, `/sent/${at}`)
            expect([shape.name, body]).toEqual([shape.name, shape.result.body])
            expect(await through(proxy.authority, 'GET', '/marker')).toBe('marker')
          }
        } finally {
          await proxy.stop()
        }
      },
      60_000,
    )
  }

  it('have the same ends for Node', async () => {
    await using server = await listening(createServer(edge))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const bodyAt = async (path: string, method = 'GET'): Promise<string> => {
      const request = get({ host: server.host, port: server.port, path, method, agent })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      return (await buffer(response)).toString('latin1')
    }
    for (const [at, { name, method, result }] of REPAIRED_ANSWERS.entries()) {
      expect([name, await bodyAt(`/sent/${at}`, method)]).toEqual([name, result.body])
      expect(await bodyAt('/marker')).toBe('marker')
    }
    expect(server.sockets.size).toBe(1)
    agent.destroy()
  })
})

describe.skipIf(programs.nginx === undefined)('nginx as the control', () => {
  const version = spawnSync(programs.nginx ?? 'nginx', ['-v']).stderr?.toString() ?? ''
  const [, major = '0', minor = '0'] = /nginx\/(\d+)\.(\d+)/.exec(version) ?? []
  const isOlder = Number(major) === 1 && Number(minor) < 23
  const passes = ({ nginx }: { nginx: string }): boolean =>
    nginx === 'passes' || (nginx === 'older' && isOlder)

  it('passes on the shapes that the table says, with the same body where they are repaired', async () => {
    await using server = await listening(createServer(edge))
    const proxy = await nginxServer(programs.nginx ?? '', server.port)
    try {
      for (const [at, shape] of REPAIRED_ANSWERS.entries()) {
        const body = await through(proxy.authority, shape.method, `/raw/${at}`)
        const isPassed = passes(shape)
        expect([shape.name, body]).toEqual([shape.name, isPassed ? shape.result.body : '502'])
      }
      for (const [at, shape] of REJECTED_ANSWERS.entries()) {
        const body = await through(proxy.authority, 'GET', `/rejected/${at}`)
        expect([shape.name, body !== '502']).toEqual([shape.name, passes(shape)])
      }
    } finally {
      await proxy.stop()
    }
  }, 60_000)
})
