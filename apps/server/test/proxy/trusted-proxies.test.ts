// Proxies in front that are trusted by their addresses: nginx, HAProxy and Caddy as people set them up, and visitors
// that write the same headers themselves.
import { parseAddressBlock } from '@proj/config/address'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { findProgram, type RealProxy, realProxy } from '@proj/testkit/real-proxy'
import { expect, onTestFinished, test } from 'vitest'

import type { ProxyOptions } from '../../src/proxy/proxy-options.ts'
import { request, tunnel } from '../tunnel-fixture.ts'

/** The proxies connect from there; visitors have another address. */
const PROXY = '127.0.0.1'
const VISITOR = '127.77.0.9'
const trustedProxies = [PROXY].map(parseAddressBlock)

const seen = async (edge: ProxyOptions) =>
  await tunnel({ http: (req, res) => res.end(JSON.stringify(req.headers)), edge })

/** The headers that the service gets of a request that claims to come from 6.6.6.6. */
async function claim(
  to: { host?: string; port: number; localAddress?: string },
  ...headers: readonly string[]
): Promise<Record<string, string>> {
  const answer = await exchangeRaw(
    { host: PROXY, ...to },
    request(
      'GET /',
      'X-Forwarded-For: 6.6.6.6',
      'X-Forwarded-Proto: gopher',
      'Forwarded: for=6.6.6.6;proto=gopher',
      ...headers,
    ),
  )
  expect(answer.status).toBe(200)
  return JSON.parse(answer.body.toString()) as Record<string, string>
}

interface Kind {
  readonly name: string
  readonly debian: string
  readonly start: (program: string, port: number) => Promise<RealProxy>
}

const nginx = (program: string, headers: string, port: number): Promise<RealProxy> =>
  realProxy(
    program,
    (folder, host) => ({
      'nginx.conf': [
        `daemon off; pid ${folder}/pid; worker_processes 1;`,
        'events { worker_connections 128; }',
        'http {',
        '  access_log off;',
        ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
          (one) => `  ${one}_temp_path ${folder}/${one};`,
        ),
        `  server { listen ${host}:3128; location / { proxy_pass http://${PROXY}:${port};`,
        `    proxy_set_header Host $http_host; ${headers} } }`,
        '}',
      ].join('\n'),
    }),
    (folder) => ['-c', `${folder}/nginx.conf`, '-p', folder, '-e', 'stderr'],
  )

const KINDS: readonly Kind[] = [
  {
    name: 'nginx',
    debian: 'nginx-light',
    start: (program, port) =>
      nginx(program, 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;', port),
  },
  {
    name: 'haproxy',
    debian: 'haproxy',
    start: (program, port) =>
      realProxy(
        program,
        (_, host) => ({
          'haproxy.cfg': [
            'defaults',
            '  mode http',
            '  option forwardfor',
            '  timeout connect 10s',
            '  timeout client 1m',
            '  timeout server 1m',
            'listen balancer',
            `  bind ${host}:3128`,
            `  server behind ${PROXY}:${port}`,
            '',
          ].join('\n'),
        }),
        (folder) => ['-db', '-f', `${folder}/haproxy.cfg`],
      ),
  },
  {
    name: 'caddy',
    debian: 'caddy',
    start: (program, port) =>
      realProxy(
        program,
        (_, host) => ({
          Caddyfile: `{\n  admin off\n}\nhttp://:3128 {\n  bind ${host}\n  reverse_proxy ${PROXY}:${port}\n}\n`,
        }),
        (folder) => ['run', '--adapter', 'caddyfile', '--config', `${folder}/Caddyfile`],
      ),
  },
]

async function started(kind: Kind, program: string, port: number) {
  const proxy = await kind.start(program, port)
  onTestFinished(async () => await proxy.stop())
  const [host = '', own = ''] = proxy.authority.split(':')
  return { host, port: Number(own), localAddress: VISITOR }
}

for (const kind of KINDS) {
  test(`behind ${kind.name} the visitor is the one that it saw, whatever the visitor writes`, async ({
    skip,
  }) => {
    const program = findProgram(kind.name, kind.debian) ?? skip(`no ${kind.name}`)
    await using path = await seen({ trustedProxies })
    const headers = await claim(await started(kind, program, path.port))
    expect(headers['x-forwarded-for']).toBe(`${VISITOR}, ${PROXY}`)
  })
}

test('behind nginx that writes Forwarded, only that is read', async ({ skip }) => {
  const program = findProgram('nginx', 'nginx-light') ?? skip('no nginx')
  const edge = { trustedProxies, trustedHeader: 'forwarded', sendForwarded: true } as const
  await using path = await seen(edge)
  const write = 'proxy_set_header Forwarded "$http_forwarded, for=$remote_addr;proto=https";'
  const kind = { start: (_: string, port: number) => nginx(program, write, port) }
  const at = await started({ name: 'nginx', debian: '', ...kind }, program, path.port)
  const headers = await claim(at)
  expect(headers).toMatchObject({
    'x-forwarded-for': `${VISITOR}, ${PROXY}`,
    'x-forwarded-proto': 'https',
    forwarded: `for=${VISITOR};proto=https, for=${PROXY};host=web.localhost;proto=http`,
  })
})

test('a visitor that comes past the proxies is not believed', async () => {
  await using path = await seen({ trustedProxies, sendForwarded: true })
  const headers = await claim({ port: path.port, localAddress: VISITOR })
  expect(headers).toMatchObject({
    'x-forwarded-for': VISITOR,
    'x-forwarded-proto': 'http',
    forwarded: `for=${VISITOR};host=web.localhost;proto=http`,
  })
})

test('of two trusted proxies in a row, what the first one saw is used, and a name it makes up is not', async () => {
  const edge = { trustedProxies: ['127.0.0.0/16', '10.0.0.0/8'].map(parseAddressBlock) }
  await using path = await seen(edge)
  const of = async (value: string): Promise<string | undefined> => {
    const lines = request('GET /', `X-Forwarded-For: ${value}`)
    const { body } = await exchangeRaw({ host: PROXY, port: path.port }, lines)
    return (JSON.parse(body.toString()) as Record<string, string>)['x-forwarded-for']
  }
  expect(await of('6.6.6.6, 9.9.9.9, 10.0.0.3')).toBe(`9.9.9.9, 10.0.0.3, ${PROXY}`)
  expect(await of('6.6.6.6, 9.9.9.9')).toBe(`9.9.9.9, ${PROXY}`)
})

test('rules for addresses are about the visitor behind a trusted proxy', async () => {
  await using path = await tunnel({
    http: (_, res) => res.end('in'),
    edge: { trustedProxies },
    visitors: { allow: ['9.9.9.0/24'] },
  })
  const status = async (value: string): Promise<number> => {
    const lines = request('GET /', `X-Forwarded-For: ${value}`)
    return (await exchangeRaw({ host: PROXY, port: path.port }, lines)).status
  }
  expect([await status('9.9.9.9'), await status('9.9.9.9, 6.6.6.6')]).toEqual([200, 403])
  const past = { host: PROXY, port: path.port, localAddress: VISITOR }
  expect((await exchangeRaw(past, request('GET /', 'X-Forwarded-For: 9.9.9.9'))).status).toBe(403)
})
