import type { AgentStatus } from '@proj/program-kit'

/** A state in which everything that can be said is said. */
export const SAMPLE: AgentStatus = {
  software: 'adit/1.2.3',
  pid: 4121,
  startedAt: '2026-01-05T09:12:44.000Z',
  server: 'https://tunnel.example.com/',
  ready: false,
  stopping: false,
  links: [
    {
      half: 'offers',
      state: 'connected',
      protocol: 'adit',
      sessions: 2,
      since: '2026-01-05T09:12:45.123Z',
    },
    {
      half: 'accesses',
      state: 'connecting',
      nextAttemptMs: 3_400,
      lastError: { code: 'DIAL_CONNECT_REFUSED', text: 'the server refused', ageMs: 61_000 },
    },
  ],
  listeners: [
    {
      endpoint: 'web',
      kind: 'http',
      service: 'localhost:3000',
      urls: ['https://web.example.com', 'https://www.example.com'],
      state: 'online',
      others: { agents: 1, hosts: 1 },
      open: 3,
      total: 40,
      requests: { open: 2, total: 1204 },
      bytesToService: 1536,
      bytesFromService: 7_340_032,
    },
    {
      endpoint: 'pg',
      kind: 'tcp',
      service: 'unix:/run/pg.sock',
      urls: [],
      state: 'offline',
      open: 0,
      total: 0,
      bytesToService: 0,
      bytesFromService: 0,
      lastFailure: { text: 'nobody listens', ageMs: 500 },
    },
  ],
  accesses: [
    {
      endpoint: 'pc1',
      binds: [
        {
          address: 'localhost:9901',
          state: 'listening',
          addresses: ['127.0.0.1:9901', '[::1]:9901'],
        },
        {
          address: '127.0.0.1:9902',
          state: 'waiting',
          addresses: [],
          why: 'EADDRINUSE',
          holder: 'cups (pid 123)',
        },
      ],
      far: { state: 'served', agents: 1, sessions: 2, outcome: 'ok', ageMs: 3_700_000 },
      open: 1,
      total: 9,
      bytesToService: 1023,
      bytesFromService: 1_000,
      failures: 2,
      lastFailure: { code: 'service_refused', text: 'the service refused', ageMs: 90_000_000 },
    },
    {
      endpoint: 'pc2',
      binds: [{ address: '10.9.9.9:1', state: 'waiting', addresses: [], why: 'no such address' }],
      far: { state: 'unknown' },
      open: 0,
      total: 0,
      bytesToService: 0,
      bytesFromService: 0,
      failures: 0,
    },
  ],
}
