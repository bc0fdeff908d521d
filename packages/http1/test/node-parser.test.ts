// Compares this package with the parser of node:http over real sockets: both must read the same from
// every message that both accept.
import { once } from 'node:events'
import { createServer as createHttpServer, get, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bytesOf, readBody, readRequest, readResponse } from './feeding.ts'

/** What a parser read from a request or a response. */
interface Seen {
  readonly line: readonly (string | number)[]
  readonly headers: readonly string[]
  readonly body: string
}

const REQUESTS: readonly (readonly [string, string])[] = [
  ['a plain GET', 'GET / HTTP/1.1\r\nHost: a.b\r\n\r\n'],
  ['an empty line first', '\r\nGET / HTTP/1.1\r\nHost: a.b\r\n\r\n'],
  ['two empty lines first', '\r\n\r\nGET / HTTP/1.1\r\nHost: a.b\r\n\r\n'],
  ['HTTP/1.0 without Host', 'GET /x HTTP/1.0\r\nA: b\r\n\r\n'],
  ['HTTP/1.0', 'GET /x HTTP/1.0\r\nHost: a.b\r\n\r\n'],
  ['odd targets', 'GET //a/../b?c=d|e{f}"<>^`#g HTTP/1.1\r\nHost: a.b\r\n\r\n'],
  ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a.b\r\n\r\n'],
  ['blanks around values', 'GET / HTTP/1.1\r\nHost:a.b\r\nA: \t b \tc\t \r\nD:\r\nE: \r\n\r\n'],
  ['odd names', "GET / HTTP/1.1\r\nHOST: a.b\r\n!#$%&'*+-.^_`|~9z: y\r\n\r\n"],
  ['bytes above 127', 'GET / HTTP/1.1\r\nHost: a.b\r\nA: caf\xe9 \x80\xff\r\n\r\n'],
  ['repeated headers', 'GET / HTTP/1.1\r\nHost: a.b\r\nX: 1\r\nx: 2\r\nX: 3\r\n\r\n'],
  ['a length', 'POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5\r\n\r\nhello'],
  ['a length of zeros', 'POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 005\r\n\r\nhello'],
  ['a body on GET', 'GET / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5\r\n\r\nhello'],
  [
    'chunks',
    'POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n',
  ],
  [
    'chunks with extensions and trailers',
    'POST / HTTP/1.1\r\nHost: a.b\r\ntransfer-encoding:CHUNKED\r\n\r\n05;a;b=c;d="e\\"f"\r\nhello\r\n000\r\nX-Sum: 1\r\n\r\n',
  ],
  [
    'chunk sizes of 16 digits',
    'POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n',
  ],
  ['a head of 150 headers', `GET / HTTP/1.1\r\nHost: a.b\r\n${'X-A: b\r\n'.repeat(150)}\r\n`],
]

const RESPONSES: readonly (readonly [string, string])[] = [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['no reason', 'HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n'],
  ['no reason and no space', 'HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n'],
  ['an odd reason', 'HTTP/1.1 299 A (b) \xe9\r\nContent-Length: 0\r\n\r\n'],
  ['no framing', 'HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello\r\n\r\n'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
  [
    'chunks',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n',
  ],
]

describe('node:http as a server', () => {
  let server: Server
  let seen: Promise<Seen> | undefined

  beforeAll(async () => {
    server = createHttpServer((request, response) => {
      seen = seenBy(request, [request.method ?? '', request.url ?? ''])
      void seen.finally(() => response.end())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterAll(async () => {
    server.close()
    await once(server, 'close')
  })

  it.each(REQUESTS)('reads the same from a request with %s', async (_name, text) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.end(bytesOf(text))
    await buffer(socket)
    const outcome = readRequest([bytesOf(text)])
    if (outcome === undefined || !('value' in outcome)) throw new Error('not read')
    const { method, target, versionMinor, headers, framing } = outcome.value
    const body = readBody([bytesOf(text).subarray(outcome.taken)], framing)
    const bodyText = body !== undefined && 'value' in body ? body.value : body
    expect(await seen).toEqual({
      line: [method, target, versionMinor],
      headers,
      body: bodyText ?? '',
    })
  })
})

describe('node:http as a client', () => {
  it.each(RESPONSES)('reads the same from a response with %s', async (_name, text) => {
    const server = createServer((socket) => {
      socket.once('data', () => socket.end(bytesOf(text)))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const request = get({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      agent: false,
    })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const theirs = await seenBy(response, [response.statusCode ?? 0, response.statusMessage ?? ''])
    server.close()
    await once(server, 'close')

    const outcome = readResponse([bytesOf(text)])
    if (outcome === undefined || !('value' in outcome)) throw new Error('not read')
    const { status, reason, versionMinor, headers, framing } = outcome.value
    const rest = bytesOf(text).subarray(outcome.taken)
    const body = readBody([rest], framing, 'response')
    const read = body !== undefined && 'value' in body ? body.value : ''
    const ours = framing.kind === 'until-close' ? rest.toString('latin1') : read
    expect(theirs).toEqual({ line: [status, reason, versionMinor], headers, body: ours })
  })
})

async function seenBy(message: IncomingMessage, line: (string | number)[]): Promise<Seen> {
  const headers = message.rawHeaders
  const body = (await buffer(message)).toString('latin1')
  return { line: [...line, message.httpVersionMinor], headers, body }
}
