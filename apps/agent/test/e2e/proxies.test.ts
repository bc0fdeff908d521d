// Out through proxies that people really run, with the programs as users start them. Each proxy is
// optional: what is missing is skipped, loudly.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dial } from '@proj/dialer'
import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { danteProxy, danteProxyFor } from '@proj/testkit/dante-proxy'
import {
  microsocksProxy,
  proxyPrograms,
  squidProxy,
  tinyproxyProxy,
} from '@proj/testkit/proxy-programs'
import { connectRaw } from '@proj/testkit/raw-http'
import { passwordHash, type ProxyFiles, type RealProxy } from '@proj/testkit/real-proxy'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import {
  adit,
  type RunningServer,
  startAccess,
  startAgent,
  startServer,
} from '../../../server/test/e2e/programs.ts'
import { httpService, tcpService, visit } from '../../../server/test/e2e/services.ts'

const USER = 'alice'
// Everything that has to be percent-encoded in a URL.
const PASSWORD = 'p@s w%rd/1'
// tinyproxy takes no blanks in a password.
const PLAIN_PASSWORD = 's3cret'

// Programs leave proxies out for loopback targets, so the server gets a name; that the program cannot
// look it up shows that the proxy did.
const HOST = 'only-the-proxy-knows.test'

/** How long the proxies bear a connection that carries nothing. */
const PATIENCE_S = 3
/** Often enough for them; two and a half of them without an answer end a connection, also on a busy machine. */
const PING = ['--connect.ping-interval', '1s']

const { squid, tinyproxy, danted, microsocks, unshare } = proxyPrograms()

/** A proxy, and how it is reached. */
interface Case {
  readonly name: string
  /** Whether its program is there. */
  readonly here: boolean
  readonly start: () => Promise<RealProxy>
  readonly scheme: string
  readonly password?: string
  /** Whether it ends connections that carry nothing. */
  readonly impatient: boolean
}

const squidWith = (rules: readonly string[], files?: ProxyFiles): Promise<RealProxy> =>
  squidProxy(squid ?? '', [...rules, `read_timeout ${PATIENCE_S} seconds`], files)
const SQUID_BASIC = [
  'auth_param basic program /usr/lib/squid/basic_ncsa_auth $FOLDER/passwords',
  'acl known proxy_auth REQUIRED',
  'http_access allow known',
]

const CASES: readonly Case[] = [
  {
    name: 'squid',
    here: squid !== undefined,
    start: () => squidWith(['http_access allow all']),
    scheme: 'http',
    impatient: true,
  },
  {
    name: 'squid with Basic',
    here: squid !== undefined,
    start: () =>
      squidWith(SQUID_BASIC, { passwords: `${USER}:${passwordHash('apr1', PASSWORD)}\n` }),
    scheme: 'http',
    password: PASSWORD,
    impatient: true,
  },
  {
    name: 'tinyproxy with Basic',
    here: tinyproxy !== undefined,
    start: () =>
      tinyproxyProxy(tinyproxy ?? '', [
        'Bind $HOST',
        `Timeout ${PATIENCE_S}`,
        `BasicAuth ${USER} ${PLAIN_PASSWORD}`,
      ]),
    scheme: 'http',
    password: PLAIN_PASSWORD,
    impatient: true,
  },
  {
    name: 'dante',
    here: danted !== undefined,
    start: () => danteProxy(danted ?? '', { idleSeconds: PATIENCE_S }),
    scheme: 'socks5h',
    impatient: true,
  },
  {
    name: 'dante with a password (root only)',
    here: danted !== undefined && unshare !== undefined,
    start: () =>
      danteProxyFor(
        { danted: danted ?? '', unshare: unshare ?? '' },
        { user: USER, password: PASSWORD },
        { idleSeconds: PATIENCE_S },
      ),
    scheme: 'socks5h',
    password: PASSWORD,
    impatient: true,
  },
  {
    name: 'microsocks',
    here: microsocks !== undefined,
    start: () => microsocksProxy(microsocks ?? '', ['-b', '$HOST']),
    scheme: 'socks5h',
    impatient: false,
  },
  {
    name: 'microsocks with a password',
    here: microsocks !== undefined,
    start: () => microsocksProxy(microsocks ?? '', ['-b', '$HOST', '-u', USER, '-P', PASSWORD]),
    scheme: 'socks5h',
    password: PASSWORD,
    impatient: false,
  },
]

for (const { name, here, start, scheme, password, impatient } of CASES) {
  describe.skipIf(!here)(`through ${name}`, () => {
    const urlOf = ({ authority }: RealProxy, secret = password): string => {
      const user = secret === undefined ? '' : `${USER}:${encodeURIComponent(secret)}@`
      return `${scheme}://${user}${authority}`
    }

    test('carries adit http and adit access, also after a rest that is longer than its patience', async () => {
      const proxy = await started(start)
      const { server, service, echo } = await behind()
      const via = [...PING, '--connect.proxy-url', urlOf(proxy)]
      const agent = await startAgent('http', 'web', service.port, server, via)
      await startAgent('tcp', 'echo', echo.port, server)
      const access = await startAccess('echo', server, via)
      expect(await agentsAddress(server, 'web')).toBe(proxy.authority.split(':')[0])
      expect((await visit(server.ports.proxy)).body.toString()).toBe('served')
      using consumer = await connectRaw(access.port)
      await consumer.send('before')
      expect((await consumer.read(6)).toString()).toBe('before')

      // What rests without pings shows when the proxy has lost its patience: at another one of the
      // same configuration, for dante looks at the clock only when nothing at all happens.
      if (impatient) await ended(await idle(urlOf(await started(start)), echo.port))

      expect((await visit(server.ports.proxy)).body.toString()).toBe('served')
      await consumer.send('after')
      expect((await consumer.read(5)).toString()).toBe('after')
      for (const { stderr } of [agent, access.process]) {
        expect(stderr).not.toMatch(/reconnecting|trying again/)
      }
    })

    if (password === undefined) return

    test('is told a password that nobody sees: not in messages, not in the list of processes', async () => {
      using folder = temporaryDirectory()
      const proxy = await started(start)
      const { server, service } = await behind()
      const file = folder.write('proxy-url', `${urlOf(proxy)}\n`)
      const fromFile = ['--connect.proxy-url-file', file, '--log.level', 'debug']
      const agent = await startAgent('http', 'web', service.port, server, fromFile)
      const shown = `${agent.stdout}${agent.stderr}${readFileSync(`/proc/${agent.pid}/cmdline`, 'utf8')}`
      for (const secret of [password, encodeURIComponent(password)]) {
        expect(shown).not.toContain(secret)
      }
    })

    test('refuses a wrong password: the program ends with 1, says so, and keeps it to itself', async () => {
      const proxy = await started(start)
      const { server } = await behind()
      const wrong = 'wr@ng-0ne'
      const env = { ADIT_CONNECT_PROXY_URL: urlOf(proxy, wrong) }
      for (const [port, ...args] of [
        [server.ports.upstream, 'http', 'web', '3000'],
        [server.ports.proxy, 'access', 'echo'],
      ] as const) {
        const url = ['--connect.url', `http://127.0.0.1:${port}`, '--log.level', 'debug', '--json']
        const program = adit([...args, ...url], { env })
        expect(await program.exited).toEqual({ code: 1, signal: null })
        expect(program.stderr).toContain(`${proxy.authority} rejected the credentials`)
        for (const secret of [wrong, encodeURIComponent(wrong)]) {
          expect(program.stdout + program.stderr).not.toContain(secret)
        }
      }
    })
  })
}

describe.skipIf(squid === undefined)('the environment', () => {
  const start = (): Promise<RealProxy> =>
    squidWith(['http_access allow all', 'hosts_file $FOLDER/hosts'], {
      hosts: `127.0.0.1 ${HOST}\n`,
    })

  test.for([['HTTP_PROXY'], ['http_proxy'], ['ALL_PROXY']] as const)(
    '%s leads to the server of an http: URL',
    async ([variable]) => {
      const proxy = await started(start)
      const { server, service, echo } = await behind()
      const env = { [variable]: `http://${proxy.authority}` }
      const url = (port: number) => ['--connect.url', `http://${HOST}:${port}`, '--json']
      const agent = adit(['http', 'web', String(service.port), ...url(server.ports.upstream)], {
        env,
      })
      await agent.event('ready')
      expect((await visit(server.ports.proxy)).body.toString()).toBe('served')
      await startAgent('tcp', 'echo', echo.port, server)
      const access = adit(['access', 'echo', ...url(server.ports.proxy)], { env })
      const ready = (await access.event('ready')) as { accesses: { addresses: string[] }[] }
      using consumer = await connectRaw(Number(ready.accesses[0]?.addresses[0]?.split(':')[1]))
      await consumer.send('ping')
      expect((await consumer.read(4)).toString()).toBe('ping')
    },
  )

  test('HTTPS_PROXY leads to the server of an https: URL', async () => {
    using folder = temporaryDirectory()
    const proxy = await started(start)
    const { server, service } = await behind()
    const authority = certificateAuthority('Company Root')
    const front = await listening(
      createTlsServer(authority.issue({ name: 'front', hosts: [HOST] }), (visitor) => {
        const way = connect({ host: '127.0.0.1', port: server.ports.upstream })
        for (const socket of [visitor, way]) socket.on('error', () => {})
        visitor.pipe(way).pipe(visitor)
      }),
    )
    onTestFinished(() => front.close())
    const url = ['--connect.url', `https://${HOST}:${front.port}`]
    const trust = ['--connect.tls.root-cas', folder.write('ca.pem', authority.cert)]
    // The other variable does not count for https: URLs, and nobody is there.
    const env = { HTTPS_PROXY: `http://${proxy.authority}`, HTTP_PROXY: 'http://127.0.0.1:1' }
    const agent = adit(['http', 'web', String(service.port), ...url, ...trust, '--json'], { env })
    await agent.event('ready')
    expect((await visit(server.ports.proxy)).body.toString()).toBe('served')
  })
})

async function started(start: () => Promise<RealProxy>): Promise<RealProxy> {
  const proxy = await start()
  onTestFinished(() => proxy.stop())
  return proxy
}

/** What is behind the proxy: a server and two services. */
async function behind() {
  const service = await httpService((_request, response) => response.end('served'))
  const echo = await tcpService((socket) => socket.pipe(socket))
  // A loopback port without credentials serves only names that the server knows as its own.
  const server = await startServer(undefined, ['--proxy.public-url', `http://${HOST}:8000`])
  return { server, service, echo }
}

/** Where the server sees the agent of an endpoint come from. */
async function agentsAddress({ ports }: RunningServer, endpoint: string): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${ports.admin}/status/upstream/sessions`)
  const sessions = (await answer.json()) as { endpoint: string; remoteAddress: string }[]
  return sessions.find((session) => session.endpoint === endpoint)?.remoteAddress
}

/** A connection through the proxy that has carried a byte, and never carries another. */
async function idle(proxy: string, port: number): Promise<Socket> {
  const socket = await dial({ host: '127.0.0.1', port }, { proxy })
  socket.on('error', () => {}) // a reset is an end as well
  onTestFinished(() => void socket.destroy())
  socket.write('x')
  await once(socket, 'data')
  return socket
}

async function ended(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close')
}
