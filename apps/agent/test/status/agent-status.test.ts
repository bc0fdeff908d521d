import type { LinkStatus, ListenerStatus, RecentRequest } from '@proj/program-kit'
import { expect, test } from 'vitest'

import { formatAgentStatus, formatFar } from '../../src/status/format-agent-status.ts'
import { formatLiveView } from '../../src/status/format-live-view.ts'
import { SAMPLE } from './status-sample.ts'

test('the state of an agent for people', () => {
  expect(formatAgentStatus(SAMPLE)).toMatchInlineSnapshot(`
    "adit 1.2.3   pid 4121, not ready
    server       https://tunnel.example.com/
    link         connected since 2026-01-05T09:12:45Z, 2 sessions, protocol adit
    access link  connecting, next attempt in 3s: the server refused (DIAL_CONNECT_REFUSED), 1m ago
      OFFERED  STATE    VISITORS
      web      online   https://web.example.com -> localhost:3000
                        https://www.example.com
                        1204 requests, 2 running, 1KiB to the service, 7MiB from it
               1 other agent also serves this name, from another address: each gets a share of the visitors (--exclusive prevents this)
      pg       offline  adit access pg -> unix:/run/pg.sock
                        0 connections, 0 open, 0B to the service, 0B from it
               service: nobody listens, 0s ago
      ACCESS  HERE            FAR SIDE   LAST ANSWER
      pc1     127.0.0.1:9901  1 agent    ok 1h ago
              [::1]:9901
              9 connections, 1 open, 1023B to the service, 1000B from it
              waiting for 127.0.0.1:9902, held by cups (pid 123)
              last failure: the service refused (service_refused), 1d ago
      pc2     -               not known  -
              0 connections, 0 open, 0B to the service, 0B from it
              waiting for 10.9.9.9:1: no such address
    "
  `)
})

test('several servers, and one that rejects the agent', () => {
  const [offers] = SAMPLE.links
  const connections = [
    { server: 'https://eu1.example.com/', serverId: '0a1b' },
    { server: 'https://eu1.example.com/', serverId: '0a1b' },
    { server: 'https://eu2.example.com/', serverId: '2c3d' },
  ]
  const refusedBy = [
    { server: 'https://eu3.example.com/', code: 'TUNNEL_UNAUTHORIZED', text: '401: invalid token' },
  ]
  const told = (link: object): string[] =>
    formatAgentStatus({ ...SAMPLE, links: [{ ...(offers as LinkStatus), ...link }] })
      .split('\n')
      .slice(3, 6)
      .map((line) => line.trim())
  expect(told({ connections, refusedBy })).toEqual([
    'https://eu1.example.com/ (0a1b), 2 sessions',
    'https://eu2.example.com/ (2c3d), 1 session',
    'https://eu3.example.com/ is not used: 401: invalid token (TUNNEL_UNAUTHORIZED)',
  ])
  // One server is what the line above says already.
  expect(told({ connections: connections.slice(0, 2) })[0]).toMatch(/^OFFERED/)
})

test('a listener that the server refuses has the reason, what to do and when it is asked again', () => {
  const [, pg] = SAMPLE.listeners
  const refused = {
    code: 'TUNNEL_PORT_REFUSED',
    text: 'endpoint "pg" refused (port-not-allowed): port 1 is not one this server gives',
    hint: 'use another port',
    ageMs: 3_000,
    nextAttemptMs: 297_000,
  }
  const status = { ...SAMPLE, listeners: [{ ...(pg as ListenerStatus), refused }], accesses: [] }
  expect(formatAgentStatus(status).split('\n').slice(4, 9).join('\n')).toMatchInlineSnapshot(`
    "  OFFERED  STATE    VISITORS
      pg       refused  adit access pg -> unix:/run/pg.sock
                        0 connections, 0 open, 0B to the service, 0B from it
               endpoint "pg" refused (port-not-allowed): port 1 is not one this server gives (TUNNEL_PORT_REFUSED), 3s ago, next attempt in 4m
               use another port"
  `)
  const view = formatLiveView(status, { columns: 200, maxLines: 30, colour: false, rates: [] })
  expect(view.slice(3, 5)).toMatchInlineSnapshot(`
    [
      "pg  refused  ->  unix:/run/pg.sock  0 open  0 connections  0B/s in, 0B/s out",
      "  endpoint "pg" refused (port-not-allowed): port 1 is not one this server gives (TUNNEL_PORT_REFUSED), 3s ago, next attempt in 4m",
    ]
  `)
})

test('an agent that does nothing but offer has no table of accesses', () => {
  expect(formatAgentStatus({ ...SAMPLE, accesses: [] })).not.toContain('ACCESS')
  expect(formatAgentStatus({ ...SAMPLE, listeners: [], stopping: true })).toContain('stopping')
})

test.for([
  [{ state: 'unserved', agents: 0, sessions: 0 }, ['no agent', '-']],
  [{ state: 'served', sessions: 2 }, ['2 agents', '-']],
  [{ state: 'refused' }, ['not permitted', '-']],
  [
    { state: 'served', agents: 1, outcome: 'serviceRefused', ageMs: 10 },
    ['1 agent', 'serviceRefused 0s ago'],
  ],
] as const)('a far side that is %o', ([far, cells]) => {
  expect(formatFar(far)).toEqual(cells)
})

const RECENT: readonly RecentRequest[] = [
  {
    at: '2026-01-05T09:12:46.000Z',
    endpoint: 'web',
    method: 'POST',
    target: '/orders?token=hidden&page=1&of=a-long-list-of-them',
    status: 201,
    totalMs: 12.4,
  },
  {
    at: '2026-01-05T09:12:45.000Z',
    endpoint: 'pg',
    method: '',
    target: '203.0.113.9',
    code: 'service_refused',
    totalMs: 1,
  },
  { at: '2026-01-05T09:12:44.000Z', endpoint: 'web', method: 'GET', target: '/events' },
]

test('the last requests have method, path, status and time, within 80 columns', () => {
  const drawn = formatAgentStatus({ ...SAMPLE, recent: RECENT })
  const table = drawn.slice(drawn.indexOf('  AT ')).replaceAll(/\d\d:\d\d:\d\d/g, '09:12:00')
  expect(table).toMatchInlineSnapshot(`
    "  AT        NAME  METHOD  PATH                          STATUS           TOOK
      09:12:00  web   POST    /orders?token=hidden&page=1…  201              12 ms
      09:12:00  pg    TCP     203.0.113.9                   service_refused  1 ms
      09:12:00  web   GET     /events                       -                running
    "
  `)
  const view = formatLiveView(SAMPLE, {
    columns: 80,
    maxLines: 30,
    colour: false,
    rates: [],
    recent: RECENT,
  })
  expect(
    view
      .slice(-5)
      .join('\n')
      .replaceAll(/\d\d:\d\d:\d\d/g, '09:12:00'),
  ).toMatchInlineSnapshot(`
    "last requests
      09:12:00  web  GET   /events                         -                running
      09:12:00  pg   TCP   203.0.113.9                     service_refused  1 ms
      09:12:00  web  POST  /orders?token=hidden&page=1&o…  201              12 ms
    Ctrl-C: finish and end, twice: end now"
  `)
  for (const line of [...table.split('\n'), ...view]) expect(line.length).toBeLessThanOrEqual(80)
})
