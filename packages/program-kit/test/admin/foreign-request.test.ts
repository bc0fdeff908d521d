import { expect, test } from 'vitest'

import { findForeignRequest, type PageRule } from '../../src/admin/foreign-request.ts'

const OPEN: PageRule = { port: 'admin', hosts: ['printers.example'], pages: 'same-origin' }
const CLOSED: PageRule = { ...OPEN, hosts: 'any' }

/** Headers, and how a port without credentials answers them, and one with. */
const TABLE: readonly [
  headers: Readonly<Record<string, string>>,
  open: 'passes' | 'host-refused' | 'origin-refused',
  closed: 'passes' | 'origin-refused',
][] = [
  // What has no Host is no browser: a health check with HTTP/1.0.
  [{}, 'passes', 'passes'],
  [{ host: '' }, 'host-refused', 'passes'],
  [{ host: 'localhost' }, 'passes', 'passes'],
  [{ host: 'LOCALHOST:8002' }, 'passes', 'passes'],
  [{ host: 'localhost.:8002' }, 'passes', 'passes'],
  [{ host: 'adit.localhost:8002' }, 'passes', 'passes'],
  [{ host: '127.0.0.1:8002' }, 'passes', 'passes'],
  [{ host: '10.244.1.7:8002' }, 'passes', 'passes'], // kubelet and Prometheus name the pod's address
  [{ host: '[::1]:8002' }, 'passes', 'passes'],
  [{ host: '[fd00::2]' }, 'passes', 'passes'],
  [{ host: 'printers.example:8002' }, 'passes', 'passes'],
  [{ host: 'Printers.Example.' }, 'passes', 'passes'],
  [{ host: 'evil.example:8002' }, 'host-refused', 'passes'],
  [{ host: 'sub.printers.example' }, 'host-refused', 'passes'],
  [{ host: 'localhost.evil.example' }, 'host-refused', 'passes'],
  [{ host: 'evillocalhost' }, 'host-refused', 'passes'],
  [{ host: '127.0.0.1.evil.example' }, 'host-refused', 'passes'],
  [{ host: '127.0.0.1:8002.evil.example' }, 'host-refused', 'passes'],
  [{ host: '[::1].evil.example' }, 'host-refused', 'passes'],
  [{ host: '::1' }, 'host-refused', 'passes'], // no form of a Host header
  [{ host: '2130706433' }, 'host-refused', 'passes'], // browsers never leave an address like this
  // Pages of the port itself, and addresses that a person typed.
  [{ host: 'localhost:8002', origin: 'http://localhost:8002' }, 'passes', 'passes'],
  [{ host: 'localhost', origin: 'http://localhost:80' }, 'passes', 'passes'],
  [{ host: '[::1]:8002', origin: 'http://[::1]:8002' }, 'passes', 'passes'],
  [{ host: 'localhost:8002', 'sec-fetch-site': 'none' }, 'passes', 'passes'],
  [{ host: 'localhost:8002', 'sec-fetch-site': 'same-origin' }, 'passes', 'passes'],
  [{ host: 'localhost:8002', 'sec-fetch-site': 'same-site' }, 'passes', 'passes'],
  // Pages of others.
  [{ host: 'localhost:8002', origin: 'https://evil.example' }, 'origin-refused', 'origin-refused'],
  [{ host: 'localhost:8002', origin: 'http://localhost:3000' }, 'origin-refused', 'origin-refused'],
  [{ host: 'localhost:8002', origin: 'http://localhost' }, 'origin-refused', 'origin-refused'],
  [{ host: 'localhost:8002', origin: 'null' }, 'origin-refused', 'origin-refused'],
  [{ host: 'localhost:8002', origin: '' }, 'origin-refused', 'origin-refused'],
  [{ origin: 'http://localhost:8002' }, 'origin-refused', 'origin-refused'],
  [{ host: 'localhost:8002', 'sec-fetch-site': 'cross-site' }, 'origin-refused', 'origin-refused'],
  // DNS rebinding: the page and the port have the same foreign name. With credentials it gets no page.
  [{ host: 'evil.example:8002', origin: 'http://evil.example:8002' }, 'host-refused', 'passes'],
  [{ host: 'evil.example:8002', 'sec-fetch-site': 'same-origin' }, 'host-refused', 'passes'],
]

test.for(TABLE)('%j: open %s, with credentials %s', ([headers, open, closed]) => {
  expect(findForeignRequest(headers, OPEN)?.code ?? 'passes').toBe(open)
  expect(findForeignRequest(headers, CLOSED)?.code ?? 'passes').toBe(closed)
})

test.for(TABLE)('%j, where no page may ask: refused for any Origin', ([headers]) => {
  const code = findForeignRequest(headers, { ...CLOSED, pages: 'none' })?.code
  const isPage = 'origin' in headers || headers['sec-fetch-site'] === 'cross-site'
  expect(code).toBe(isPage ? 'origin-refused' : undefined)
})

test.for([
  ['web.example.com', 'passes'],
  ['a.b.example.com:8000', 'passes'],
  ['example.com', 'host-refused'],
  ['evilexample.com', 'host-refused'],
  ['web.example.com.evil.example', 'host-refused'],
] as const)('below the domain example.com: %s %s', ([host, verdict]) => {
  const rule: PageRule = { ...OPEN, hosts: ['*.example.com'] }
  expect(findForeignRequest({ host }, rule)?.code ?? 'passes').toBe(verdict)
})
