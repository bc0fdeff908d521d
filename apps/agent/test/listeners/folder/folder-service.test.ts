// A folder that is served: what a visitor gets, and everything that must not come out of it.
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'

import { listenerOf, request, type Served, served } from '../served.ts'

const folder = temporaryDirectory()
afterAll(() => folder[Symbol.dispose]())
const site = join(folder.path, 'site')

mkdirSync(join(site, 'sub/empty'), { recursive: true })
mkdirSync(join(site, '.git'))
const files = {
  'index.html': '<h1>start</h1>',
  'style.css': 'body {}',
  'a b&ü<.txt': 'odd name',
  'digits.bin': '0123456789',
  'sub/page.html': 'page',
  '.env': 'SECRET',
  '.git/config': 'SECRET',
  'up..down.txt': 'two dots',
}
for (const [name, content] of Object.entries(files)) writeFileSync(join(site, name), content)
writeFileSync(join(folder.path, 'outside.txt'), 'SECRET')
mkdirSync(join(folder.path, 'site-beside'))
writeFileSync(join(folder.path, 'site-beside/x.txt'), 'SECRET')
symlinkSync('../outside.txt', join(site, 'link-out.txt'))
symlinkSync('..', join(site, 'link-up'))
symlinkSync('/etc', join(site, 'link-etc'))
symlinkSync('.env', join(site, 'link-env'))
symlinkSync('loop', join(site, 'loop'))
symlinkSync('../digits.bin', join(site, 'sub/link-in.bin'))
mkdirSync(join(site, 'index-out'))
symlinkSync('../../outside.txt', join(site, 'index-out/index.html'))
utimesSync(join(site, 'digits.bin'), 1_700_000_000, 1_700_000_000)
const MODIFIED = new Date(1_700_000_000_000).toUTCString()

let plain: Served
let listed: Served

interface Answer {
  readonly status: number
  readonly header: (name: string) => string | undefined
  readonly body: string
}

/** Asks with a raw target, which no client has put right; the next answer shows where this one ends. */
async function ask(one: Served, line: string, ...headers: readonly string[]): Promise<Answer> {
  const text = await one.ask(
    request(line, ...headers) + request('DELETE /the-end'),
    'Allow: GET, HEAD',
  )
  const [head = '', ...rest] = text.slice(0, text.lastIndexOf('HTTP/1.1 405')).split('\r\n\r\n')
  const header: Answer['header'] = (name) =>
    new RegExp(`^${name}: (.*)$`, 'im').exec(head.replaceAll('\r', ''))?.[1]
  return { status: Number(head.slice(9, 12)), header, body: rest.join('\r\n\r\n') }
}

beforeEach(async () => {
  plain = await served(folder, 'addr: ./site')
  listed = await served(folder, `addr: '${site}/', listing: true`)
})

test.each([
  ['/', 'text/html; charset=utf-8', '<h1>start</h1>'],
  ['/?query', 'text/html; charset=utf-8', '<h1>start</h1>'],
  ['/style.css', 'text/css; charset=utf-8', 'body {}'],
  ['/sub/page.html', 'text/html; charset=utf-8', 'page'],
  ['/a%20b%26%C3%BC%3C.txt', 'text/plain; charset=utf-8', 'odd name'],
  ['/sub/link-in.bin', 'application/octet-stream', '0123456789'],
  ['/up..down.txt', 'text/plain; charset=utf-8', 'two dots'],
])('GET %s has the type %s', async (path, type, body) => {
  const answer = await ask(plain, `GET ${path}`)
  expect(answer).toMatchObject({ status: 200, body })
  expect(answer.header('content-type')).toBe(type)
  expect(answer.header('x-content-type-options')).toBe('nosniff')
})

describe('nothing comes out that is not meant', () => {
  test.each([
    '/../outside.txt',
    '/%2e%2e/outside.txt',
    '/%2E%2E%2Foutside.txt',
    '/sub/../../outside.txt',
    '/sub/..%2f..%2foutside.txt',
    '/..%5coutside.txt',
    '/..\\outside.txt',
    '/sub\\page.html',
    '//../outside.txt',
    '/../site-beside/x.txt',
    '/%2e%2e/site-beside/x.txt',
    '/.env',
    '/%2eenv',
    '/.git/config',
    '/sub/../.env',
    '/link-out.txt',
    '/link-up/outside.txt',
    '/link-etc/passwd',
    '/link-env',
    '/loop',
    '/index-out/',
    '/style.css/',
    '/style.css/x',
    '/nowhere',
    '/sub/',
    `/${'x'.repeat(5000)}`,
    `/etc/passwd`,
    '/%252e%252e/outside.txt',
  ])('GET %s: 404', async (path) => {
    const answer = await ask(plain, `GET ${path}`)
    expect(answer).toMatchObject({ status: 404, body: '404\n' })
  })

  test.each(['/a%00.txt', '/%', '/%zz', '/%c0%ae%c0%ae/outside.txt'])(
    'GET %s: 400',
    async (path) => {
      expect(await ask(plain, `GET ${path}`)).toMatchObject({ status: 400 })
    },
  )

  test.each(['POST', 'PUT', 'PATCH', 'OPTIONS'])('%s: 405', async (method) => {
    const answer = await ask(plain, `${method} /`, 'Content-Length: 0')
    expect(answer.status).toBe(405)
    expect(answer.header('allow')).toBe('GET, HEAD')
  })
})

describe('conditions and ranges, as RFC 9110 says', () => {
  test.each([
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=8-', 206, '89', 'bytes 8-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=5-99', 206, '56789', 'bytes 5-9/10'],
    ['bytes=10-', 416, '416\n', 'bytes */10'],
    ['bytes=4-2', 416, '416\n', 'bytes */10'], // section 14.2: a server may reject it
    ['lines=1-2', 200, '0123456789', undefined],
    ['bytes=0-1,4-5', 200, '0123456789', undefined], // section 14.2: a server may ignore it
  ])('%s', async (range, status, body, contentRange) => {
    const answer = await ask(plain, 'GET /digits.bin', `Range: ${range}`)
    expect({ status: answer.status, body: answer.body }).toEqual({ status, body })
    expect(answer.header('content-range')).toBe(contentRange)
  })

  test('ETag and Last-Modified, and what they are asked for', async () => {
    const first = await ask(plain, 'GET /digits.bin')
    const etag = first.header('etag') ?? ''
    expect(etag).toMatch(/^W\/".+"$/)
    expect(first.header('last-modified')).toBe(MODIFIED)
    expect(first.header('accept-ranges')).toBe('bytes')
    const cases: readonly (readonly [string, number])[] = [
      [`If-None-Match: ${etag}`, 304],
      ['If-None-Match: "other"', 200],
      ['If-None-Match: *', 304],
      [`If-Modified-Since: ${MODIFIED}`, 304],
      ['If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 200],
      ['If-Match: "other"', 412],
      ['If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 412],
    ]
    for (const [header, status] of cases) {
      expect([header, (await ask(plain, 'GET /digits.bin', header)).status]).toEqual([
        header,
        status,
      ])
    }
    const stale = await ask(plain, 'GET /digits.bin', 'Range: bytes=0-1', 'If-Range: "other"')
    expect(stale).toMatchObject({ status: 200, body: '0123456789' })
  })

  test('HEAD has the headers of GET, and no body', async () => {
    const answer = await ask(plain, 'HEAD /digits.bin')
    expect(answer).toMatchObject({ status: 200, body: '' })
    expect(answer.header('content-length')).toBe('10')
  })
})

test('a folder gets its slash, and never another host', async () => {
  const answer = await ask(plain, 'GET /sub?a=b')
  expect([answer.status, answer.header('location')]).toEqual([301, '/sub/?a=b'])
  const odd = await ask(plain, 'GET //sub')
  expect([odd.status, odd.header('location')]).toEqual([301, '/sub/'])
})

describe('a listing, only if asked', () => {
  test('has files, folders and links that stay inside, by name', async () => {
    const top = await ask(listed, 'GET /sub/')
    expect(top.status).toBe(200)
    expect(top.body).toContain(
      '<li><a href="../">../</a></li>\n<li><a href="./empty/">empty/</a></li>\n<li><a href="./link-in.bin">link-in.bin</a></li>\n<li><a href="./page.html">page.html</a></li>\n',
    )
    expect(top.header('content-security-policy')).toBe("default-src 'none'")
  })

  test('leaves out what is not served, and escapes names', async () => {
    mkdirSync(join(site, 'odd'))
    for (const name of ['<b>&".txt', '.hidden', 'javascript:x', '日本.txt']) {
      writeFileSync(join(site, 'odd', name), '')
    }
    symlinkSync('/etc/passwd', join(site, 'odd/out'))
    const { body } = await ask(listed, 'GET /odd/')
    expect(
      Buffer.from(body, 'latin1')
        .toString()
        .match(/<li>.*/g),
    ).toEqual([
      '<li><a href="../">../</a></li>',
      '<li><a href="./%3Cb%3E%26%22.txt">&lt;b&gt;&amp;&quot;.txt</a></li>',
      '<li><a href="./javascript%3Ax">javascript:x</a></li>',
      '<li><a href="./%E6%97%A5%E6%9C%AC.txt">日本.txt</a></li>',
    ])
  })

  test('an index.html comes in its place', async () => {
    expect(await ask(listed, 'GET /')).toMatchObject({ body: '<h1>start</h1>' })
  })
})

test('a folder behind rules, and below a path of another service', async () => {
  const one = await served(
    folder,
    "addr: ./site, strip_prefix: /files, response_headers: ['X-By: {endpoint}'], routes: [{ path: /sub, addr: ./site/sub, strip_prefix: /sub }]",
  )
  expect(await one.ask(request('GET /files/digits.bin'), '0123456789')).toContain('X-By: web\r\n')
  expect(await one.ask(request('GET /sub/page.html'), 'page')).toContain('200 OK')
})

test('a large file is whole, and a visitor that leaves ends the reading', async () => {
  const bytes = 3_000_000
  writeFileSync(join(site, 'large.bin'), Buffer.alloc(bytes, 'x'))
  const text = await plain.ask(request('GET /large.bin') + request('DELETE /'), '405 Method')
  expect(text.indexOf('HTTP/1.1 405') - text.indexOf('\r\n\r\n') - 4).toBe(bytes)
})

test.each([
  ['addr: 3000, listing: true', 'listing'],
  ['addr: ./site, protocol: tcp', 'addr'],
])('%s is an error of the configuration', async (listener, key) => {
  const { problems } = await listenerOf(folder, listener)
  expect(problems).toMatchObject([{ key: `listeners[0].${key}`, severity: 'error' }])
})

test('a folder that is not there, and a file in its place: the message says so', async () => {
  await expect(served(folder, 'addr: ./nowhere')).rejects.toThrow('nowhere is not a folder')
  await expect(served(folder, 'addr: ./outside.txt')).rejects.toThrow('outside.txt is not a folder')
})
