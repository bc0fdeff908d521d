import { describe, expect, test } from 'vitest'

import { formatLiveView, type LiveViewOptions } from '../../src/status/format-live-view.ts'
import { isWatched } from '../../src/status/live-view.ts'
import { SAMPLE } from './status-sample.ts'

const RATES = [
  { toService: 1536, fromService: 40_000 },
  { toService: 0, fromService: 0 },
  { toService: 12, fromService: 1_048_576 },
]

function draw(options: Partial<LiveViewOptions>, status = SAMPLE): string[] {
  return formatLiveView(status, {
    columns: 110,
    maxLines: 30,
    colour: false,
    rates: RATES,
    ...options,
  })
}

test('a wide terminal', () => {
  expect(draw({}).join('\n')).toMatchInlineSnapshot(`
    "adit 1.2.3, https://tunnel.example.com/
    offers: connected since 2026-01-05T09:12:45Z, 2 sessions, protocol adit
    accesses: connecting, next attempt in 3s: the server refused (DIAL_CONNECT_REFUSED), 1m ago
    web  https://web.example.com  ->  localhost:3000      2 running  1204 requests  1KiB/s in, 39KiB/s out
      https://www.example.com
      1 other agent also serves this name, from another address: each gets a share of the visitors (--exclusive p…
    pg   offline                  ->  unix:/run/pg.sock   0 open     0 connections  0B/s in, 0B/s out
      service: nobody listens, 0s ago
    pc1  127.0.0.1:9901           ->  1 agent, ok 1h ago  1 open     9 connections  12B/s in, 1MiB/s out
      [::1]:9901
      waiting for 127.0.0.1:9902, held by cups (pid 123)
      last failure: the service refused (service_refused), 1d ago
    pc2  -                        ->  not known           0 open     0 connections  0B/s in, 0B/s out
      waiting for 10.9.9.9:1: no such address
    Ctrl-C: finish and end, twice: end now"
  `)
})

test('a terminal of 70 columns', () => {
  expect(draw({ columns: 70 }).join('\n')).toMatchInlineSnapshot(`
    "adit 1.2.3, https://tunnel.example.com/
    offers: connected since 2026-01-05T09:12:45Z, 2 sessions, protocol ad…
    accesses: connecting, next attempt in 3s: the server refused (DIAL_CO…
    web  https://web.example.com  1204 requests  1KiB/s in, 39KiB/s out
      https://www.example.com
      1 other agent also serves this name, from another address: each get…
    pg   offline                  0 open         0B/s in, 0B/s out
      service: nobody listens, 0s ago
    pc1  127.0.0.1:9901           1 open         12B/s in, 1MiB/s out
      [::1]:9901
      waiting for 127.0.0.1:9902, held by cups (pid 123)
      last failure: the service refused (service_refused), 1d ago
    pc2  -                        0 open         0B/s in, 0B/s out
      waiting for 10.9.9.9:1: no such address
    Ctrl-C: finish and end, twice: end now"
  `)
})

test('a terminal of 40 columns', () => {
  expect(draw({ columns: 40 }).join('\n')).toMatchInlineSnapshot(`
    "adit 1.2.3, https://tunnel.example.com/
    offers: connected since 2026-01-05T09:1…
    accesses: connecting, next attempt in 3…
    web  2 running  1KiB/s in, 39KiB/s out
      https://web.example.com
      https://www.example.com
      1 other agent also serves this name, …
    pg   0 open     0B/s in, 0B/s out
      offline
      service: nobody listens, 0s ago
    pc1  1 open     12B/s in, 1MiB/s out
      127.0.0.1:9901
      [::1]:9901
      waiting for 127.0.0.1:9902, held by c…
      last failure: the service refused (se…
    pc2  0 open     0B/s in, 0B/s out
      waiting for 10.9.9.9:1: no such addre…
    Ctrl-C: finish and end, twice: end now"
  `)
})

test('a low terminal says what it leaves out', () => {
  const lines = draw({ maxLines: 6 })
  expect(lines).toHaveLength(6)
  expect(lines.at(-2)).toMatch(/^\.\.\. \d+ more lines: adit status$/)
  expect(draw({ maxLines: 2 })).toHaveLength(2)
})

test.for([10, 40, 59, 60, 99, 100, 200])('no line is wider than %i columns', (columns) => {
  for (const line of draw({ columns })) expect(line.length).toBeLessThanOrEqual(columns)
})

test('colours are there only when they are wanted, and take no room', () => {
  // oxlint-disable-next-line no-control-regex -- control sequences are what is looked for
  const sequences = /\u001b\[[0-9;]*m/g
  const coloured = draw({ colour: true }).join('\n')
  expect(coloured).toMatch(sequences)
  expect(coloured.replaceAll(sequences, '')).toBe(draw({}).join('\n'))
})

test('a Chinese name shifts nothing and makes no line wider than the terminal', () => {
  const [listener] = SAMPLE.listeners
  if (listener === undefined) throw new Error('the sample has listeners')
  const wide = { ...listener, endpoint: '数据库'.repeat(4), urls: ['http://数据库.example'] }
  const listeners = [{ ...listener, endpoint: 'web' }, wide]
  const displayWidth = (line: string) => line.length + (line.match(/[\u4e00-\u9fff]/g) ?? []).length
  for (const columns of [20, 59, 80, 120]) {
    const lines = draw({ columns }, { ...SAMPLE, listeners, accesses: [] })
    for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(columns)
  }
  const [first = '', second = ''] = draw({ columns: 200 }, { ...SAMPLE, listeners, accesses: [] })
    .filter((line) => line.includes('->'))
    .map((line) => line.slice(0, line.indexOf('http')))
  expect(displayWidth(first)).toBe(displayWidth(second))
})

test('what others say moves no cursor', () => {
  const [listener] = SAMPLE.listeners
  if (listener === undefined) throw new Error('the sample has listeners')
  const odd = { ...SAMPLE, listeners: [{ ...listener, urls: ['http://a\u001b[2J\u009b'] }] }
  expect(draw({}, odd).join('')).toContain(String.raw`http://a\u001b[2J\u009b`)
})

test('an agent that is stopping says so, and how to end it now', () => {
  expect(draw({}, { ...SAMPLE, stopping: true }).at(-1)).toContain('Ctrl-C: end now')
})

describe('the view is for people', () => {
  const settings = {
    live: true,
    log: { level: 'info', format: 'auto', rate: { amount: 600, periodMs: 60_000 } },
  } as const
  const terminal = { isTTY: true } as unknown as NodeJS.WriteStream
  const pipe = { isTTY: false } as unknown as NodeJS.WriteStream
  const around = { stdout: terminal, stderr: terminal, env: {} }

  test('at a terminal', () => {
    expect(isWatched(settings, around, false)).toBe(true)
    expect(isWatched(settings, { ...around, env: { TERM: 'xterm', CI: '' } }, false)).toBe(true)
  })

  test.for([
    ['JSON is wanted', settings, around, true],
    ['it is switched off', { ...settings, live: false }, around, false],
    ['the log is JSON', { ...settings, log: { ...settings.log, format: 'json' } }, around, false],
    ['it is to be quiet', { ...settings, log: { ...settings.log, level: 'error' } }, around, false],
    ['the answer goes elsewhere', settings, { ...around, stdout: pipe }, false],
    ['the log goes elsewhere', settings, { ...around, stderr: pipe }, false],
    ['the terminal is dumb', settings, { ...around, env: { TERM: 'dumb' } }, false],
    ['it runs in CI', settings, { ...around, env: { CI: 'true' } }, false],
  ] as const)('not when %s', ([, one, where, json]) => {
    expect(isWatched(one, where, json)).toBe(false)
  })
})
