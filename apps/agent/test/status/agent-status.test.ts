import type { LinkStatus } from '@proj/program-kit'
import { expect, test } from 'vitest'

import { formatAgentStatus, formatFar } from '../../src/status/format-agent-status.ts'
import { SAMPLE } from './status-sample.ts'

test('the state of an agent for people', () => {
  expect(formatAgentStatus(SAMPLE)).toMatchInlineSnapshot(`
    "adit 1.2.3   pid 4121, not ready
    server       https://tunnel.example.com/
    link         connected since 2026-01-05T09:12:45Z, 2 sessions, wire adit
    access link  connecting, next attempt in 3s: the server refused (DIAL_CONNECT_REFUSED), 1m ago
      OFFERED  STATE    VISITORS                 SERVICE            OPEN  TOTAL  TO SERVICE  FROM SERVICE
      web      online   https://web.example.com  localhost:3000     3     1204   1KiB        7MiB
                        https://www.example.com
               1 other agent also serves this name, from another address: each gets a share of the visitors (--exclusive prevents this)
      pg       offline  adit access pg           unix:/run/pg.sock  0     0      0B          0B
               service: nobody listens, 0s ago
      ACCESS  HERE            FAR SIDE   LAST ANSWER  OPEN  TOTAL  TO SERVICE  FROM SERVICE
      pc1     127.0.0.1:9901  1 agent    ok 1h ago    1     9      1023B       1000B
              [::1]:9901
              waiting for 127.0.0.1:9902, held by cups (pid 123)
              last failure: the service refused (service_refused), 1d ago
      pc2     -               not known  -            0     0      0B          0B
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
