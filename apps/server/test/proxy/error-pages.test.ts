// What a browser, a program and Piko's clients get for the same error.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { VISITOR_WORDING } from '@proj/program-kit'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { RESET_REASONS } from '@proj/tunnel/io'
import { describe, expect, onTestFinished, test } from 'vitest'

import { ErrorPages } from '../../src/proxy/error-pages.ts'
import { errorForReset, PROXY_ERRORS } from '../../src/proxy/proxy-errors.ts'
import { tunnel } from '../tunnel-fixture.ts'

const BROWSER = 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

function folder(pages: Readonly<Record<string, string>>): string {
  const made = temporaryDirectory()
  onTestFinished(() => made[Symbol.dispose]())
  for (const [name, content] of Object.entries(pages)) writeFileSync(join(made.path, name), content)
  return made.path
}

describe('the form that is asked for', () => {
  const ERRORS = [
    ['an endpoint without an agent', 'Host: x.localhost', 503, 'no_upstream'],
    ['a host without an endpoint', 'Host: 127.0.0.1', 400, 'endpoint_missing'],
  ] as const

  test.each(ERRORS)('%s', async (_, host, status, code) => {
    await using path = await tunnel({ http: (__, res) => res.end() })
    const ask = async (...headers: string[]): Promise<[type: string | undefined, body: string]> => {
      const text = ['GET / HTTP/1.1', host, ...headers, '', ''].join('\r\n')
      const answer = await exchangeRaw(path.port, text)
      expect([answer.status, answer.headers['adit-error']]).toEqual([status, code])
      expect(answer.headers['x-content-type-options']).toBe('nosniff')
      return [answer.headers['content-type'], answer.body.toString()]
    }
    const [type, page] = await ask(BROWSER)
    expect(type).toBe('text/html; charset=utf-8')
    expect(page).toContain(`<h1>${VISITOR_WORDING[code]?.title}</h1>`)
    expect(page).toMatch(/<dt>Request id<\/dt><dd>[\w-]+<\/dd>/)
    expect((await ask('Accept: text/plain'))[1]).toContain(`(${code})\n`)
    expect(JSON.parse((await ask('Accept: application/json'))[1])).toMatchObject({ status, code })
    const short = await ask()
    expect(short[1]).toMatch(/^\{"error":"[^"]+"\}\n$/)
    expect(await ask('Accept: */*')).toEqual(short)
    expect(await ask(BROWSER, 'Sec-Fetch-Dest: empty')).toEqual(short)
  })
})

test('a page tells the request id that the service, the log and a trusted proxy know', async () => {
  await using path = await tunnel({ http: (_, res) => res.end(), edge: { trustedHops: 1 } })
  const ask = async (host: string): Promise<string> => {
    const lines = [`Host: ${host}.localhost`, BROWSER, 'X-Request-Id: from-the-proxy', '', '']
    const text = ['GET / HTTP/1.1', ...lines].join('\r\n')
    return (await exchangeRaw(path.port, text)).body.toString()
  }
  expect(await ask('x')).toContain('<dd>from-the-proxy</dd>')
  await path.service.close()
  expect(await ask('web')).toContain('<dd>from-the-proxy</dd>')
})

test('HEAD gets the length of the page and not the page', async () => {
  await using path = await tunnel({ http: (_, res) => res.end() })
  using visitor = await path.visit()
  const head = ['HEAD / HTTP/1.1', 'Host: x.localhost', BROWSER, '', ''].join('\r\n')
  await visitor.send(head + head)
  for (let count = 0; count < 2; count += 1) {
    const { status, headers, body } = await visitor.readResponse('HEAD')
    expect([status, body.length]).toEqual([503, 0])
    expect(Number(headers['content-length'])).toBeGreaterThan(1000)
  }
})

describe('pages of the operator', () => {
  test('the one of the code, else of the status, else the one for all', async () => {
    const pages = await ErrorPages.read(
      folder({
        'no_upstream.html': 'away {{code}}',
        '503.html': 'later',
        'default.html': 'all',
        'notes.txt': 'no page',
        'No.html': 'no code',
      }),
    )
    expect(pages.find('no_upstream', 503)).toBe('away {{code}}')
    expect(pages.find('overloaded', 503)).toBe('later')
    expect(pages.find('service_refused', 502)).toBe('all')
    expect((await ErrorPages.read(folder({}))).find('no_upstream', 503)).toBeUndefined()
    expect((await ErrorPages.read(undefined)).find('no_upstream', 503)).toBeUndefined()
  })

  test('are sent to browsers alone, and replaced while the server runs', async () => {
    const before = await ErrorPages.read(folder({ '503.html': '<b>{{status}} {{code}}</b>' }))
    await using path = await tunnel({ http: (_, res) => res.end(), server: { errorPages: before } })
    const ask = async (...headers: string[]): Promise<string> => {
      const text = ['GET / HTTP/1.1', 'Host: x.localhost', ...headers, '', ''].join('\r\n')
      return (await exchangeRaw(path.port, text)).body.toString()
    }
    expect(await ask(BROWSER)).toBe('<b>503 no_upstream</b>')
    expect(await ask()).toBe('{"error":"no available upstreams"}\n')
    path.server.setErrorPages(ErrorPages.none)
    expect(await ask(BROWSER)).toContain('This service is offline')
  })

  test('are read again from their folder, unless another one is set meanwhile', async () => {
    const [own, other] = [folder({ '503.html': 'first' }), folder({ '503.html': 'other' })]
    const errorPages = await ErrorPages.read(own)
    await using path = await tunnel({ http: (_, res) => res.end(), server: { errorPages } })
    const { server } = path
    const page = (): string | undefined => server.edge.pages.find('no_upstream', 503)
    writeFileSync(join(own, '503.html'), 'second')
    await server.readErrorPages()
    expect(page()).toBe('second')
    writeFileSync(join(own, '503.html'), 'x'.repeat(65_537))
    await server.readErrorPages()
    expect(page()).toBe('second')
    writeFileSync(join(own, '503.html'), 'third')
    const next = await ErrorPages.read(other)
    const reading = server.readErrorPages()
    server.setErrorPages(next)
    await reading
    expect(page()).toBe('other')
  })

  test.each<[what: string, make: () => string]>([
    ['a folder that is not there', () => join(folder({}), 'missing')],
    ['a page that is too large', () => folder({ '502.html': 'x'.repeat(65_537) })],
    [
      'a page that is a folder',
      () => {
        const made = folder({})
        mkdirSync(join(made, '502.html'))
        return made
      },
    ],
    [
      'a page that is a pipe',
      () => {
        const made = folder({})
        execFileSync('mkfifo', [join(made, '502.html')])
        return made
      },
    ],
  ])('%s is refused', async (_, make) => {
    const refused = ErrorPages.read(make())
    await expect(refused).rejects.toMatchObject({ code: 'CONFIG_FILE_UNREADABLE', exitCode: 2 })
  })

  test('a page of the largest size is taken', async () => {
    const pages = await ErrorPages.read(folder({ '502.html': 'x'.repeat(65_536) }))
    expect(pages.find('bad_response', 502)).toHaveLength(65_536)
  })
})

test('every error of the server has words for visitors', () => {
  const resets = Object.keys(RESET_REASONS) as (keyof typeof RESET_REASONS)[]
  const errors = [...Object.values(PROXY_ERRORS), ...resets.map((reason) => errorForReset(reason))]
  const general = ['consumer_gone', 'not_permitted', 'protocol_error', 'unspecified']
  const missing = errors.filter(({ code }) => VISITOR_WORDING[code] === undefined)
  expect([...new Set(missing.map(({ code }) => code))].toSorted()).toEqual(general)
})
