// Valid requests, cut into chunks at every byte and at random: where a chunk ends changes no answer.
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

import { hashPassword } from '@proj/auth'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { type Fixture, request, tunnel } from '../tunnel-fixture.ts'

interface Sent {
  readonly method: string
  readonly bytes: string
  /** What the service says it got. */
  readonly answer: string
  readonly expects?: boolean
}

const AUTHORIZATION = `Authorization: Basic ${Buffer.from('ann:pa:ss').toString('base64')}`

function sent(method: string, path: string, headers: string[], body = '', wire = body): Sent {
  const bytes = request(`${method} ${path}`, AUTHORIZATION, ...headers) + wire
  return { method, bytes, answer: said(method, path, Buffer.from(body, 'latin1')) }
}

function said(method: string, path: string, body: Buffer): string {
  return `${method} ${path} ${body.length} ${createHash('sha1').update(body).digest('hex')}`
}

const CHUNKED = 'Transfer-Encoding: chunked'
/** A body of line ends, which are data there. */
const LINE_ENDS = '\r\n\r\r\n\n\r'

const REQUESTS: readonly Sent[] = [
  sent('GET', '/plain', []),
  sent('GET', '/late', ['X-Empty:', 'X-Blank: \t']),
  sent('POST', '/ends', [`Content-Length: ${LINE_ENDS.length}`], LINE_ENDS),
  sent('HEAD', '/head', []),
  sent('PUT', '/chunked', [CHUNKED], LINE_ENDS, `7\r\n${LINE_ENDS}\r\n0\r\n\r\n`),
  sent(
    'POST',
    '/late/trailers',
    [CHUNKED, 'Trailer: X-Sum'],
    'ab\r',
    '2;a="b\\"";c=d\r\nab\r\n001\r\n\r\r\n0;e\r\nX-Sum: 1\r\nX-Two:\r\n\r\n',
  ),
  sent('DELETE', '/empty', ['Content-Length: 0']),
  {
    ...sent('POST', '/expect', ['Expect: 100-continue', 'Content-Length: 3'], '\r\n\r'),
    expects: true,
  },
  {
    ...sent('GET', '/behind-a-line-end', []),
    bytes: `\r\n${request('GET /behind-a-line-end', AUTHORIZATION)}`,
  },
  sent('PATCH', '/none', [CHUNKED], '', '0\r\n\r\n'),
]

/** Says what it got; for some paths some turns later, while what follows waits in the server. */
function service(req: IncomingMessage, res: ServerResponse): void {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    const { method = '', url = '' } = req
    const answer = (): void => void res.end(said(method, url, Buffer.concat(chunks)))
    let turns = url.startsWith('/late') ? 8 : 0
    const next = (): void => void (turns-- > 0 ? setImmediate(next) : answer())
    next()
  })
}

/** The polls of two turns lie between two pieces: each is read alone, unless the server has paused. */
async function turn(): Promise<void> {
  await new Promise(setImmediate)
  await new Promise(setImmediate)
}

/** Answers that are not those of the service, and what kept the requests from being written. */
async function findWrong(
  path: Fixture,
  requests: readonly Sent[],
  cuts: readonly number[],
): Promise<unknown[]> {
  const wrong: unknown[] = []
  const bytes = Buffer.from(requests.map((one) => one.bytes).join(''), 'latin1')
  const places = [0, ...cuts, bytes.length]
  using visitor = await path.visit()
  const writing = (async () => {
    for (const [at, end] of places.slice(1).entries()) {
      await visitor.send(bytes.subarray(places[at], end))
      await turn()
    }
  })().catch((error: unknown) => void wrong.push(error))
  for (const { method, answer, expects } of requests) {
    let response = await visitor.readResponse(method)
    if (expects === true && response.status === 100) response = await visitor.readResponse(method)
    const isRight = method === 'HEAD' || response.body.toString() === answer
    if (response.status !== 200 || !isRight) wrong.push({ cuts, head: response.head, answer })
    if (response.status !== 200) break
  }
  await writing
  return wrong
}

const verifier = await hashPassword('pa:ss')
const ANN = { basicAuth: [{ user: 'ann', verifier }] }

describe('requests one behind another', () => {
  const length = REQUESTS.reduce((sum, { bytes }) => sum + bytes.length, 0)

  it('cut at every single byte', async () => {
    await using path = await tunnel({ http: service })
    const third = Math.ceil(length / 3)
    for (let at = 1; at <= third; at++) {
      const cuts = [at, at + third, at + 2 * third].filter((cut) => cut < length)
      expect(await findWrong(path, REQUESTS, cuts)).toEqual([])
    }
  }, 300_000)

  it('in pieces of one byte, and of two', async () => {
    await using path = await tunnel({ http: service })
    for (const size of [1, 2]) {
      const cuts = Array.from({ length: Math.ceil(length / size) - 1 }, (_, at) => (at + 1) * size)
      expect(await findWrong(path, REQUESTS, cuts)).toEqual([])
    }
  }, 120_000)

  it.each([
    ['', {}],
    ['while passwords are checked, ', { visitors: ANN }],
  ])(
    '%sin any order, cut anywhere',
    async (_, options) => {
      await using path = await tunnel({ http: service, ...options })
      const order = fc.array(fc.constantFrom(...REQUESTS), { minLength: 1, maxLength: 12 })
      const places = fc.array(fc.nat(4096), { maxLength: 40 })
      await fc.assert(
        fc.asyncProperty(order, places, async (requests, cuts) => {
          const total = requests.reduce((sum, { bytes }) => sum + bytes.length, 0)
          const sorted = [...new Set(cuts.map((cut) => cut % total))].toSorted((a, b) => a - b)
          expect(await findWrong(path, requests, sorted)).toEqual([])
        }),
        { numRuns: 150 },
      )
    },
    300_000,
  )
})
