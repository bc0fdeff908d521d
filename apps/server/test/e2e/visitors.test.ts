// Who may visit, with the two programs and the files of examples/visitors as they are.
import { once } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { describe, expect, test } from 'vitest'

import { adit, aditServer, portsOf, startAccess, startAgent, startServer } from './programs.ts'
import { httpService, tcpService } from './services.ts'
import { hs256 } from '../auth/signed.ts'

const EXAMPLE = fileURLToPath(new URL('../../../../examples/visitors', import.meta.url))
const PASSWORD = 'correct horse battery staple'
const basic = (pair: string): string =>
  `authorization: Basic ${Buffer.from(pair).toString('base64')}`

async function ask(port: number, endpoint: string, ...headers: string[]) {
  const lines = ['GET / HTTP/1.1', `host: ${endpoint}.localhost`, 'connection: close', ...headers]
  return await exchangeRaw(port, [...lines, '', ''].join('\r\n'))
}

describe('the example', () => {
  test('lets in whom it names, and its password is seen nowhere', async () => {
    const seen: string[] = []
    const wiki = await httpService((req, res) => {
      seen.push(JSON.stringify(req.headers))
      res.end('the wiki')
    })
    const pg = await tcpService((socket) => socket.end('pg'))
    const server = aditServer(
      ['--config', join(EXAMPLE, 'server.yaml'), '--log.level', 'debug', '--json'],
      { env: { PROXY: '127.0.0.1:0', UPSTREAM: '127.0.0.1:0', ADMIN: '127.0.0.1:0' } },
    )
    const ports = portsOf(await server.event('ready'))
    const agent = adit(
      ['start', '--config', join(EXAMPLE, 'agent.yaml'), '--log.level', 'debug', '--json'],
      {
        env: {
          UPSTREAM_URL: `http://127.0.0.1:${ports.upstream}`,
          WIKI: String(wiki.port),
          PG: String(pg.port),
          BOB_PASSWORD: 'hunter2',
        },
      },
    )
    await agent.event('ready')
    expect((await ask(ports.proxy, 'wiki')).status).toBe(401)
    expect((await ask(ports.proxy, 'wiki', basic('ann:hunter2'))).status).toBe(401)
    expect((await ask(ports.proxy, 'wiki', basic('bob:hunter2'))).body.toString()).toBe('the wiki')
    expect((await ask(ports.proxy, 'wiki', basic(`ann:${PASSWORD}`))).status).toBe(200)
    const access = await startAccess('pg', { process: server, ports })
    const answer = await fetchBytes(access.port)
    expect(answer).toBe('pg')
    for (const text of [server.stdout, server.stderr, agent.stdout, agent.stderr, ...seen]) {
      expect(text).not.toMatch(/hunter2|battery|aHVudGVy|scrypt/)
      expect(text).not.toContain(Buffer.from(`ann:${PASSWORD}`).toString('base64').slice(0, 12))
    }
    expect(seen).toHaveLength(2)
  })
})

test('a password that changes in its file is asked for from then on', async () => {
  using files = temporaryDirectory()
  const service = await httpService((_, res) => res.end('served'))
  const server = await startServer()
  const file = join(files.path, 'agent.yaml')
  copyFileSync(join(EXAMPLE, 'ann-password'), join(files.path, 'ann-password'))
  writeFileSync(
    file,
    readFileSync(join(EXAMPLE, 'agent.yaml'), 'utf8').split('  # the office')[0] ?? '',
  )
  const agent = adit(['start', '--config', file, '--json'], {
    env: {
      UPSTREAM_URL: `http://127.0.0.1:${server.ports.upstream}`,
      WIKI: String(service.port),
    },
  })
  await agent.event('ready')
  const { proxy } = server.ports
  expect((await ask(proxy, 'wiki', basic(`ann:${PASSWORD}`))).status).toBe(200)
  files.write('ann-password', 'another')
  process.kill(agent.pid, 'SIGHUP')
  await until(async () => (await ask(proxy, 'wiki', basic('ann:another'))).status === 200)
  expect((await ask(proxy, 'wiki', basic(`ann:${PASSWORD}`))).status).toBe(401)
})

test('flags say it for one endpoint', async () => {
  using files = temporaryDirectory()
  const password = files.write('password', `${PASSWORD}\n`)
  const service = await httpService((_, res) => res.end('served'))
  const server = await startServer()
  const flags = ['--visitor-user', 'ann', '--visitor-password-file', password]
  await startAgent('http', 'web', service.port, server, flags)
  await startAgent('http', 'far', service.port, server, ['--visitor-allow', '192.0.2.0/24'])
  await startAgent('http', 'near', service.port, server, ['--visitor-allow', '127.0.0.0/8,::1'])
  const { proxy } = server.ports
  expect((await ask(proxy, 'web')).status).toBe(401)
  expect((await ask(proxy, 'web', basic(`ann:${PASSWORD}`))).status).toBe(200)
  expect((await ask(proxy, 'far')).status).toBe(403)
  expect((await ask(proxy, 'near')).status).toBe(200)
})

describe('enforced by the agent', () => {
  const enforce = ['--visitor-enforce', 'agent']

  test('a password is asked for behind the server, which knows of none', async () => {
    using files = temporaryDirectory()
    const password = files.write('password', PASSWORD)
    const seen: string[] = []
    const service = await httpService((req, res) => {
      seen.push(JSON.stringify(req.headers))
      res.end('served')
    })
    const server = await startServer()
    const user = ['--visitor-user', 'ann', '--visitor-password-file', password]
    await startAgent('http', 'web', service.port, server, [...user, ...enforce])
    const { proxy } = server.ports
    const refused = await ask(proxy, 'web')
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('Basic'),
    ])
    // Behind the server nothing tells the agent's answer from one of its service.
    expect(refused.headers['adit-error']).toBeUndefined()
    expect(service.sockets.size).toBe(0)
    expect((await ask(proxy, 'web', basic(`ann:${PASSWORD}`))).body.toString()).toBe('served')
    expect((await ask(proxy, 'web', basic('ann:wrong'))).status).toBe(401)
    expect(seen).toHaveLength(1)
    expect(seen.join()).not.toContain('"authorization"')
  })

  test('addresses are those the server has seen, for HTTP and TCP, and cannot be forged', async () => {
    const service = await httpService((_, res) => res.end('served'))
    const pg = await tcpService((socket) => socket.end('pg'))
    const server = await startServer()
    const far = [...enforce, '--visitor-allow', '192.0.2.0/24']
    const near = [...enforce, '--visitor-allow', '127.0.0.0/8']
    await startAgent('http', 'far', service.port, server, far)
    await startAgent('http', 'near', service.port, server, near)
    await startAgent('tcp', 'pg-far', pg.port, server, far)
    await startAgent('tcp', 'pg-near', pg.port, server, near)
    const { proxy } = server.ports
    expect((await ask(proxy, 'near')).status).toBe(200)
    expect((await ask(proxy, 'far', 'x-forwarded-for: 192.0.2.1')).status).toBe(403)
    expect(await fetchBytes((await startAccess('pg-near', server)).port)).toBe('pg')
    const refused = await startAccess('pg-far', server)
    await expect(fetchBytes(refused.port)).rejects.toThrow('ECONNRESET')
    // The connect route is no way around: who comes by it writes the header himself.
    const around = await startAccess('far', server)
    const forged = 'GET / HTTP/1.1\r\nhost: far\r\nx-forwarded-for: 192.0.2.1\r\n\r\n'
    expect((await exchangeRaw(around.port, forged)).status).toBe(403)
  })
})

test('a user without a password is a mistake on the command line', async () => {
  const agent = adit(['http', 'web', '3000', '--visitor-user', 'ann'])
  expect((await agent.exited).code).toBe(2)
  expect(agent.stderr).toContain('--visitor-user and --visitor-password-file are needed together')
})

async function fetchBytes(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port })
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(socket, 'end')
  return text
}

test('a tenant has a domain of its own, and with proxy.auth visitors show its token', async () => {
  using files = temporaryDirectory()
  const [key, acme] = ['the key of the proxy port, 32 bytes', 'the key of acme, 32 bytes or more']
  const file = files.write(
    'server.yaml',
    [
      'proxy: { bind_addr: 127.0.0.1:0, base_domain: example.com, auth: { hmac_secret_key_file: key } }',
      'admin: { bind_addr: 127.0.0.1:0 }',
      'upstream:',
      '  bind_addr: 127.0.0.1:0',
      '  tenants: [{ id: acme, base_domain: acme.test, auth: { hmac_secret_key_file: acme } }]',
    ].join('\n'),
  )
  files.write('key', key)
  files.write('acme', acme)
  const server = aditServer(['--config', file, '--data-dir', files.path, '--json'])
  const ports = portsOf(await server.event('ready'))
  const service = await httpService((req, res) => res.end(JSON.stringify(req.headers)))
  const tenant = ['--connect.tenant-id', 'acme', '--connect.token', hs256(acme, {})]
  await startAgent('http', 'web', service.port, { process: server, ports }, tenant)
  const visit = async (host: string, ...headers: string[]) => {
    const lines = ['GET / HTTP/1.1', `host: ${host}`, 'connection: close', ...headers, '', '']
    return await exchangeRaw(ports.proxy, lines.join('\r\n'))
  }
  const bearer = `authorization: Bearer ${hs256(acme, {})}`
  expect((await visit('web.acme.test')).status).toBe(401)
  expect((await visit('web.example.com', bearer)).status).toBe(401)
  expect((await visit('web.example.com', `authorization: Bearer ${hs256(key, {})}`)).status).toBe(
    503,
  )
  const answer = await visit('web.acme.test', bearer)
  expect(answer.status).toBe(200)
  expect(answer.body.toString()).not.toContain('authorization')
})

test('a browser gets the offline page of a listener when its agent is gone', async () => {
  using folder = temporaryDirectory()
  const page = folder.write('closed.html', '<title>Back at nine</title>')
  const server = await startServer()
  const listeners = JSON.stringify([{ endpoint: 'web', addr: '1', offline_page: page }])
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const agent = adit(
    ['start', '--connect.url', url, '--listeners', listeners, '--json', '--log.level', 'debug'],
    {},
  )
  await agent.line(/offline page sent/)
  agent.kill('SIGTERM')
  await agent.exited
  const { body } = await exchangeRaw(
    server.ports.proxy,
    'GET / HTTP/1.1\r\nHost: web.localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n',
  )
  expect(body.toString()).toBe('<title>Back at nine</title>')
})
