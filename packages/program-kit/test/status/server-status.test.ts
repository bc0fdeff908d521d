import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { expect, test } from 'vitest'
import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { EXIT, formatServerStatus, readServerStatus, type ServerStatus } from '../../src/index.ts'
import { adminRequests } from '../../src/status/admin-request.ts'

const status: ServerStatus = {
  ready: true,
  edge: {
    connections: 3,
    requests: 1200,
    inFlight: 2,
    upgraded: 1,
    bytesIn: 5_000,
    bytesOut: 7 * 1024 ** 3,
    statuses: { 200: 1199, 502: 1 },
  },
  sessions: [
    {
      endpoint: 'web',
      session: 's1',
      agent: 'a1b2',
      protocol: 'adit',
      remoteAddress: '10.0.0.7',
      connectedAt: '2026-01-02T03:04:05.678Z',
      openStreams: 4,
    },
    {
      endpoint: 'web',
      session: 's3',
      agent: 'a1b2',
      protocol: 'adit',
      remoteAddress: '10.0.0.7',
      connectedAt: '2026-01-02T03:04:07.000Z',
      openStreams: 1,
    },
    {
      endpoint: 'printer',
      session: 's2',
      protocol: 'piko',
      remoteAddress: '::1',
      connectedAt: '2026-01-02T03:04:06.000Z',
      openStreams: 0,
    },
  ],
  ports: [],
  nodes: [
    {
      id: 'a',
      status: 'active',
      proxy_addr: '',
      admin_addr: '',
      endpoints: 2,
      upstreams: 2,
      boot: '12ab',
      version: '1.2.3',
      local: true,
      sessions: 2,
    },
  ],
}

test('is a table of endpoints below an overview', () => {
  expect(formatServerStatus(status)).toBe(
    `server    ready
visitors  3 connected, 1 of them upgraded
requests  1200 so far, 2 running
answers   200: 1199, 502: 1
bytes     4KiB in, 7GiB out

ENDPOINT  AGENT  FROM      WIRE  SESSIONS  STREAMS  SINCE
web       a1b2   10.0.0.7  adit  2         5        2026-01-02T03:04:05Z
printer   -      ::1       piko  1         0        2026-01-02T03:04:06Z
`,
  )
})

test('lists the nodes of a cluster, and says when their versions differ', () => {
  const [node] = status.nodes
  if (node === undefined) throw new Error('no node')
  const nodes = [
    { ...node, proxy_addr: '10.0.0.1:8003' },
    {
      ...node,
      id: 'b\u001b[2J',
      local: false,
      version: '1.2.2',
      status: 'left',
      proxy_addr: 'b:1',
    },
  ] as const
  const text = formatServerStatus({ ...status, nodes })
  expect(text).toContain(`
NODE          VERSION  STATE    AGENTS  ENDPOINTS  ADDRESS
a (this one)  1.2.3    active   2       2          10.0.0.1:8003
`)
  expect(text).not.toContain('\u001b')
  expect(text).toContain(
    '1.2.2    leaving  2       2          b:1\nnodes have different versions: upgrade those that are older\n\n',
  )
  const same = nodes.map((one) => ({ ...one, version: '1.2.3' }))
  expect(formatServerStatus({ ...status, nodes: same })).not.toContain('different versions')
})

test('lists the workers of a server in place of nodes, also one that does not answer', () => {
  const node = {
    status: 'active' as const,
    proxy_addr: 'unix:/tmp/1.sock',
    admin_addr: '',
    endpoints: 2,
    upstreams: 3,
    version: '1.2.3',
    local: false,
    sessions: 3,
  }
  const worker = {
    worker: 1,
    pid: 4711,
    visitors: 5,
    memoryBytes: 64 * 1024 * 1024,
    load: 0.25,
    delayMs: 1.5,
  }
  const nodes = [
    { ...node, id: 'a-w1', boot: 'a', worker },
    { ...node, id: 'a-w2', boot: 'b' },
  ]
  const text = formatServerStatus({ ...status, nodes })
  expect(text).toMatch(/^WORKER +PID +STATE +AGENTS +ENDPOINTS +VISITORS +LOAD +MEMORY +DELAY$/m)
  expect(text).toMatch(/^1 +4711 +active +3 +2 +5 +25% +64MiB +1\.5 ms$/m)
  expect(text).toMatch(/^- +- +no answer +3 +2 +- +- +- +-$/m)
  expect(text).not.toContain('unix:')
})

test('says since when the database of a cluster is away', () => {
  const since = { databaseAwaySince: '2026-01-02T03:04:05.678Z' }
  const nodes = status.nodes.map((node) => ({ ...node, ...since }))
  const line = /^database +away since 2026-01-02T03:04:05Z: no new names$/m
  expect(formatServerStatus({ ...status, nodes })).toMatch(line)
  const others = nodes.map((node) => ({ ...node, local: false }))
  expect(formatServerStatus({ ...status, nodes: others })).not.toContain('away')
})

test('lists public ports below the endpoints', () => {
  const port = {
    endpoint: 'pg',
    identity: 'token:ab12',
    since: '2026-01-02T03:04:05.000Z',
    addresses: ['0.0.0.0:9901'],
    connections: 4,
    refused: 0,
    bytesIn: 5_000,
    bytesOut: 0,
  }
  const ports = [
    { ...port, port: 9901, sessions: 2, visitors: 3 },
    { ...port, port: 9902, sessions: 0, visitors: 0, heldUntil: '2026-01-02T03:05:06.000Z' },
  ]
  expect(formatServerStatus({ ...status, ports }).split('\n\n')[2]).toBe(
    `PORT  ENDPOINT  OWNER       STATE                            VISITORS  IN    OUT
9901  pg        token:ab12  served                           3         4KiB  0B
9902  pg        token:ab12  kept until 2026-01-02T03:05:06Z  0         4KiB  0B
`,
  )
})

test('says that there is no agent and no answer yet', () => {
  const empty = { ...status, ready: false, edge: { ...status.edge, statuses: {} }, sessions: [] }
  const shown = formatServerStatus(empty)
  expect(shown).toContain('not ready')
  expect(shown).toContain('none yet')
  expect(shown).toMatch(/\nno agent is connected\n$/)
})

test('says how many endpoints of before the start are back', () => {
  const endpoints = { before: 10, back: 8, needed: 9 }
  const readiness = { ready: false, state: 'waiting', endpoints } as const
  const waiting = formatServerStatus({ ...status, ready: false, readiness })
  expect(waiting).toMatch(/^server +not ready: waiting$/m)
  expect(waiting).toMatch(/^endpoints +8 of the 10 from before the start are back, 9 are needed$/m)
  const back = { ready: true, state: 'ready', endpoints: { ...endpoints, back: 9 } } as const
  expect(formatServerStatus({ ...status, readiness: back })).toMatch(
    /^endpoints +9 of the 10 from before the start are back$/m,
  )
})

test('is read from the pages of the admin port; 503 of /ready means not ready', async () => {
  const pages: Record<string, unknown> = {
    '/status/edge': status.edge,
    '/status/upstream/sessions': status.sessions,
    '/status/cluster/nodes': status.nodes,
  }
  let ready: string | undefined // an older server sends no body
  await using admin = await listening(
    createServer((request, response) => {
      const page = pages[request.url ?? '']
      response.statusCode = page === undefined ? 503 : 200
      response.end(request.url === '/ready' ? ready : JSON.stringify(page))
    }),
  )
  expect(await readServerStatus(`http://${admin.authority}`)).toEqual({ ...status, ready: false })
  const readiness = { ready: false, state: 'stopping' } as const
  ready = JSON.stringify(readiness)
  expect(await readServerStatus(`http://${admin.authority}`)).toEqual({
    ...status,
    ready: false,
    readiness,
  })
})

test('nobody there is exit code 1, with address, reason and hint', async () => {
  const admin = await listening(createServer())
  await admin.close()
  await expect(readServerStatus(`http://${admin.authority}`)).rejects.toMatchObject({
    exitCode: EXIT.failed,
    message: `no status from http://${admin.authority}: connect ECONNREFUSED ${admin.authority}`,
    hint: 'is the server running here? name its admin port with --url',
  })
})

test('somebody else there is exit code 1, with the page that is missing', async () => {
  await using other = await listening(
    createServer((_request, response) => response.writeHead(404).end()),
  )
  await expect(readServerStatus(`http://${other.authority}`)).rejects.toMatchObject({
    exitCode: EXIT.failed,
    message: expect.stringMatching(/\/status\/\S+ answered 404$/),
  })
})

test("comes over TLS too, with an authority and a certificate of one's own", async () => {
  using folder = temporaryDirectory()
  const authority = certificateAuthority()
  const server = createSecureServer(
    { ...authority.issue({ name: 'admin' }), ca: authority.cert, requestCert: true },
    (request, response) => {
      const { pathname } = new URL(request.url ?? '/', 'https://x')
      const pages: Readonly<Record<string, unknown>> = {
        '/status/edge': status.edge,
        '/status/upstream/sessions': status.sessions,
        '/status/ports': status.ports,
        '/status/cluster/nodes': status.nodes,
      }
      response.end(JSON.stringify(pages[pathname] ?? null))
    },
  )
  server.on('tlsClientError', () => {})
  await using admin = await listening(server)
  const url = `https://localhost:${admin.port}`
  const mine = authority.issue({ name: 'operator', usage: 'client' })
  const files = {
    ca: folder.write('ca.pem', authority.cert),
    cert: folder.write('cert.pem', mine.cert),
    key: folder.write('key.pem', mine.key),
  }
  expect(await readServerStatus(url, files)).toEqual(status)
  await expect(readServerStatus(url)).rejects.toMatchObject({
    exitCode: EXIT.failed,
    hint: expect.stringContaining('--ca'),
  })
  await expect(readServerStatus(url, { ca: files.ca })).rejects.toMatchObject({
    exitCode: EXIT.failed,
  })
  await expect(readServerStatus(url, { ca: `${folder.path}/none` })).rejects.toMatchObject({
    exitCode: EXIT.usage,
    message: expect.stringMatching(/^--ca: ENOENT/),
  })
})

test('a token is shown to whoever asks for one, and a refusal of it is exit code 4', async () => {
  await using admin = await listening(
    createServer((request, response) => {
      const isGood = request.headers.authorization === 'Bearer good'
      response.statusCode = isGood ? 200 : 401
      response.end(JSON.stringify(isGood ? status.edge : { error: 'invalid token' }))
    }),
  )
  const url = `http://${admin.authority}`
  expect(await readServerStatus(url, {}, 'good')).toMatchObject({ edge: status.edge })
  await expect(readServerStatus(url, {}, 'another')).rejects.toMatchObject({
    exitCode: EXIT.refused,
    message: `no status from ${url}: invalid token`,
    hint: expect.stringContaining('--may admin'),
  })
})

test('an answer without an end is left at the limit', async () => {
  const server = createServer((_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    }
    response.on('drain', more)
    more()
  })
  await using running = await listening(server)
  const request = await adminRequests({}, 1_000_000)
  const { signal } = new AbortController()
  await expect(request(new URL(`http://${running.authority}/`), { signal })).rejects.toMatchObject({
    code: 'ADMIN_ANSWER_TOO_LONG',
  })
})
