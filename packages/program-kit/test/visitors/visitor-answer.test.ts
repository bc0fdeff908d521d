import { createHash } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import {
  visitorAnswer,
  type VisitorError,
  VISITOR_WORDING,
  visitorWording,
} from '../../src/index.ts'

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
const ERROR: VisitorError = {
  status: 502,
  code: 'service_refused',
  error: 'upstream unreachable',
  requestId: 'abc-1',
  page: undefined,
}

/** The header of an answer. */
function header(headers: readonly string[], name: string): string | undefined {
  const at = headers.indexOf(name)
  return at < 0 ? undefined : headers[at + 1]
}

test('JSON has the text of Piko first, and what a program may want', () => {
  const { type, body, headers } = visitorAnswer(ERROR, 'json', NOW)
  expect(type).toBe('application/json')
  expect(body.toString()).toBe(
    '{"error":"upstream unreachable","status":502,"code":"service_refused","title":"The service is not running","side":"service","hint":"Nothing is wrong on your side. Try again later, or tell the owner.","request_id":"abc-1","time":"2026-01-02T03:04:05Z"}\n',
  )
  expect(headers).toEqual(['cache-control', 'no-store', 'vary', 'accept, sec-fetch-dest'])
})

test('text has a line for each thing', () => {
  expect(visitorAnswer(ERROR, 'text', NOW).body.toString()).toBe(
    `502 The service is not running (service_refused)
Its computer is connected, but the service does not answer there.
Nothing is wrong on your side. Try again later, or tell the owner.
Request id abc-1, 2026-01-02 03:04:05 UTC
`,
  )
  const bare = { ...ERROR, requestId: undefined, code: 'credentials_missing', status: 401 }
  expect(visitorAnswer(bare, 'text', NOW).body.toString()).toBe(
    `401 Please sign in (credentials_missing)
Use the name and the password, or the token, that the owner gave you.
2026-01-02 03:04:05 UTC
`,
  )
})

describe('the page', () => {
  test('says what works, what is broken and what was not asked', () => {
    const steps = (code: string): string[] => {
      const page = visitorAnswer({ ...ERROR, code }, 'html', NOW).body.toString()
      return [...page.matchAll(/<li(?: class="(\w+)")?>/g)].map(([, kind = 'none']) => kind)
    }
    expect(steps('endpoint_missing')).toEqual(['bad', 'none', 'none', 'none'])
    expect(steps('overloaded')).toEqual(['ok', 'bad', 'none', 'none'])
    expect(steps('no_upstream')).toEqual(['ok', 'ok', 'bad', 'none'])
    expect(steps('service_refused')).toEqual(['ok', 'ok', 'ok', 'bad'])
  })

  test('its style is the one that its policy admits, and it has no script', () => {
    const { type, body, headers } = visitorAnswer(ERROR, 'html', NOW)
    const page = body.toString()
    expect(type).toBe('text/html; charset=utf-8')
    const style = /<style>([^]*)<\/style>/.exec(page)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    expect(header(headers, 'content-security-policy')).toContain(`style-src 'sha256-${hash}'`)
    expect(page).not.toMatch(/<script|https?:|\sstyle=|\son\w+=/)
    expect(page).toContain('<dd>abc-1</dd>')
  })

  test('text of the request is text', () => {
    const requestId = `<img src=x onerror='a'>&"`
    const page = visitorAnswer({ ...ERROR, requestId }, 'html', NOW).body.toString()
    expect(page).toContain('<dd>&#60;img src=x onerror=&#39;a&#39;&#62;&#38;&#34;</dd>')
    const own =
      '<p title="{{request_id}}">{{ status }} {{code}} {{time}} {{other}} {{request_id}}</p>'
    const { body, headers } = visitorAnswer({ ...ERROR, requestId, page: own }, 'html', NOW)
    const escaped = '&#60;img src=x onerror=&#39;a&#39;&#62;&#38;&#34;'
    expect(body.toString()).toBe(
      `<p title="${escaped}">502 service_refused 2026-01-02 03:04:05 UTC {{other}} ${escaped}</p>`,
    )
    expect(header(headers, 'content-security-policy')).toContain("default-src 'none'")
  })

  test.each(Object.keys(VISITOR_WORDING))('for %s is small and whole', (code) => {
    const { body } = visitorAnswer({ ...ERROR, code }, 'html', NOW)
    expect(body.length).toBeLessThan(4096)
    expect(body.toString()).not.toContain('undefined')
    const { title, visitor } = visitorWording(code, 400)
    expect(title).toMatch(/^[A-Z][^.]+$/)
    expect(visitor).toMatch(/^[A-Z].+\.$/)
  })
})

test.each([
  ['cr_bare', 400, 'The request could not be understood'],
  ['cr_bare', 502, 'The answer of the service is not valid'],
  ['unspecified', 500, 'The tunnel could not carry the request'],
  ['toString', 431, 'The request could not be understood'],
])('the code %s with status %i has the words of its status', (code, status, title) => {
  expect(visitorWording(code, status).title).toBe(title)
})
