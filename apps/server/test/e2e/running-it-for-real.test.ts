// docs/running-it-for-real.md, block by block, as a reader has them on a machine, with an authority of the
// test in place of Let's Encrypt, and other ports and folders. And examples/monitoring: Prometheus itself
// reads the files, and the programs have each metric that they name.
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { certificateAuthority } from '@proj/testkit/certificates'
import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { findProgram } from '@proj/testkit/real-proxy'
import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { adit, aditServer, portsOf } from './programs.ts'
import { httpService } from './services.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const PAGE = readFileSync(`${ROOT}docs/running-it-for-real.md`, 'utf8')
const MONITORING = `${ROOT}examples/monitoring`
const UNIT = readFileSync(`${ROOT}examples/systemd/adit-server.service`, 'utf8')

const DOMAIN = 'tunnel.example.com'

/** The blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm'))].map(
    ([, block = '']) => block,
  )
}

/** The machine of the page: its folders, certificate, and a service. */
async function machine() {
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  chmodSync(folder.path, 0o755) // nginx gives up root
  const authority = certificateAuthority()
  const own = authority.issue({
    name: 'tunnel',
    hosts: [DOMAIN, `*.${DOMAIN}`],
  })
  const ca = folder.write('ca.pem', authority.cert)
  folder.write('tls/fullchain.pem', own.cert, 0o644)
  folder.write('tls/privkey.pem', own.key, 0o600)
  const { first } = await freePorts(6)
  const ports = new Map([443, 80, 8000, 8001, 8002].map((port, at) => [port, first + at] as const))
  const service = await httpService((_, response) => response.end('hello'))
  /** A block of the page with the folders and ports of the test. */
  const here = (block: string): string =>
    block
      .replaceAll('/etc/adit/tls', `${folder.path}/tls`)
      .replaceAll('/var/lib/adit', `${folder.path}/state`)
      .replaceAll(/(?<=[: ]|\b)(443|80|8000|8001|8002)(?=['\n;} ]|$| ssl)/g, (port) =>
        String(ports.get(Number(port))),
      )
  const port = (of: number): number => ports.get(of) ?? 0
  return { folder, ca, port, here, service }
}

type Machine = Awaited<ReturnType<typeof machine>>

/** A server with a block of the page as its file, and a token for the agent. */
async function server({ folder, port, here }: Machine, block: string): Promise<string> {
  const file = folder.write('adit-server.yaml', here(block))
  const state = `${folder.path}/state`
  folder.write('state/.keep', '')
  chmodSync(state, 0o700)
  const [, create = ''] = /adit-server (token create .*)/.exec(PAGE) ?? []
  const words = create.replace('/var/lib/adit', state).split(' ')
  const made = aditServer(words)
  await made.exited
  const token = folder.write('token', made.stdout.split('\n')[0] ?? '')
  const admin = `localhost:${port(8002)}`
  const started = aditServer(['--config', file, '--admin.bind-addr', admin, '--json'])
  portsOf(await started.event('ready'))
  return token
}

/** What a visitor gets from the name of the page. */
async function visit({ ca, port, folder }: Machine, url: string): Promise<string> {
  const to = (from: number): string[] => ['--connect-to', `::127.0.0.1:${port(from)}`]
  const target = new URL(url)
  const curl = spawned(
    'curl',
    [
      '-sS',
      '--noproxy',
      '*',
      '--cacert',
      ca,
      '-o',
      `${folder.path}/body`,
      '-w',
      '%{http_code} %{redirect_url}',
      ...to(target.protocol === 'http:' ? 80 : 443),
      url,
    ],
    {},
  )
  await curl.exited
  return `${curl.stdout} ${curl.stderr}`.trim()
}

/** In place of DNS: a proxy of the agent's network, for which each name is this machine. */
async function proxyToHere(): Promise<string> {
  const proxy = createServer()
  proxy.on('connect', (request, client) => {
    const [, port] = (request.url ?? '').split(':')
    const socket = connect(Number(port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      client.pipe(socket).pipe(client)
    })
    client.on('error', () => socket.destroy())
    socket.on('error', () => client.destroy())
  })
  const { port } = await listening(proxy)
  return `http://127.0.0.1:${port}`
}

/** The agent of the page. */
async function agent(m: Machine, token: string, url: string): Promise<void> {
  const connects = `--connect.url=${url} --connect.proxy-url=${await proxyToHere()}`.split(' ')
  const credentials = [`--connect.tls.root-cas=${m.ca}`, `--token-file=${token}`]
  const started = adit([
    'http',
    'web',
    String(m.service.port),
    '--json',
    ...connects,
    ...credentials,
  ])
  const ready = await started.event('ready')
  expect(JSON.stringify(ready)).toContain(`https://web.${DOMAIN}`)
}

test('4a: the server has the ports itself', async ({ skip }) => {
  skip(findProgram('curl', 'curl') === undefined, 'no curl')
  const m = await machine()
  const [alone = ''] = blocks('yaml')
  const token = await server(m, alone)
  await agent(m, token, `https://${DOMAIN}:${m.port(8001)}`)
  expect(await visit(m, `https://web.${DOMAIN}/`)).toBe('200')
})

test.for(['nginx', 'caddy'] as const)('4b, 4c: behind %s', async (name, { skip }) => {
  const program = findProgram(name, name)
  if (program === undefined) {
    skip(`no ${name}`)
    return
  }
  skip(findProgram('curl', 'curl') === undefined, 'no curl')
  const m = await machine()
  const [, behind = ''] = blocks('yaml')
  const token = await server(m, behind)
  const [block = ''] = blocks(name === 'nginx' ? 'nginx' : 'caddyfile')
  const { path } = m.folder
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (one) => `${one}_temp_path ${path}/${one};`,
  )
  const file =
    name === 'nginx'
      ? `daemon off; pid ${path}/pid; events {} http { access_log off; ${temporary.join(' ')}\n${m.here(block)}}`
      : `{\n  admin off\n  http_port ${m.port(80)}\n  https_port ${m.port(443)}\n}\n${m.here(block)}`
  const conf = m.folder.write('proxy.conf', file, 0o644)
  const args =
    name === 'nginx'
      ? ['-c', conf, '-p', path, '-e', 'stderr']
      : ['run', '--adapter', 'caddyfile', '--config', conf]
  const judge = name === 'nginx' ? ['-t', ...args] : ['validate', ...args.slice(1)]
  const judged = spawnSync(program, judge, { encoding: 'utf8', env: { HOME: path } })
  expect({ status: judged.status, said: judged.stderr }).toMatchObject({ status: 0 })
  const proxy = spawned(program, args, {
    env: { XDG_DATA_HOME: path, XDG_CONFIG_HOME: path, HOME: path },
    cwd: path,
  })
  await until(async () => (await visit(m, `https://web.${DOMAIN}/`)).startsWith('503'), {
    what: `${name} answers: ${proxy.stderr}`,
  })
  await agent(m, token, `https://agents.${DOMAIN}:${m.port(443)}`)
  expect(await visit(m, `https://web.${DOMAIN}/`)).toBe('200')
  // the redirect names port 443, whatever the port of the test
  expect(await visit(m, `http://web.${DOMAIN}/a?b=1`)).toMatch(
    /^308 https:\/\/web\.tunnel\.example\.com(?::\d+)?\/a\?b=1$/,
  )
})

test('3: the hook copies what the server reads', ({ skip }) => {
  skip(process.getuid?.() !== 0, 'only root gives files to another user')
  using folder = temporaryDirectory()
  const hook = blocks('sh').find((block) => block.startsWith('#!/bin/sh')) ?? ''
  const lineage = `${folder.path}/live`
  for (const name of ['fullchain.pem', 'privkey.pem']) folder.write(`live/${name}`, name)
  const script = hook
    .replaceAll('-o adit -g adit', '-o nobody -g nogroup')
    .replaceAll('/etc/adit/tls', `${folder.path}/tls`)
  const { status, stderr } = spawnSync('sh', ['-c', script], {
    env: { ...process.env, RENEWED_LINEAGE: lineage },
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(readFileSync(`${folder.path}/tls/privkey.pem`, 'utf8')).toBe('privkey.pem')
})

test('4a: systemd takes the unit with what is written beside it', ({ skip }) => {
  skip(spawnSync('systemd-analyze', ['--version']).error !== undefined, 'no systemd-analyze')
  using folder = temporaryDirectory()
  const [dropIn = ''] = blocks('ini')
  // systemd-analyze reads no drop-in of a file that is named: later lines have the same effect
  const unit = UNIT.replace('[Install]', `${dropIn}\n[Install]`).replace(
    '/usr/bin/env adit-server',
    '/usr/bin/env sh',
  )
  const path = folder.write('adit-server.service', unit, 0o644)
  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' })
  const ours = `${verified.stdout}${verified.stderr}`
    .split('\n')
    .filter((line) => line.includes(folder.path))
  expect({ status: verified.status, ours }).toEqual({ status: 0, ours: [] })
})

test('5: nft takes the rules of the firewall', ({ skip }) => {
  skip(findProgram('nft', 'nftables') === undefined, 'no nft')
  const [rules = ''] = blocks('nft')
  const checked = spawnSync('unshare', ['--net', 'nft', '--check', '--file', '-'], {
    input: rules,
    encoding: 'utf8',
  })
  skip(/unshare|Operation not (?:permitted|supported)/.test(checked.stderr), checked.stderr.trim())
  expect({ status: checked.status, stderr: checked.stderr }).toEqual({ status: 0, stderr: '' })
})

const EXPRESSIONS = ['alerts.yml', 'grafana.json'].map(
  (name) => [name, readFileSync(`${MONITORING}/${name}`, 'utf8')] as const,
)

test.each(EXPRESSIONS)('each metric in examples/monitoring/%s is served', async (_, text) => {
  const named = new Set([...text.matchAll(/\b(?:adit|piko)_[a-z_]+/g)].map(([name]) => name))
  const documented = readFileSync(`${ROOT}docs/admin.md`, 'utf8')
  // a test of docs/admin.md compares its table with what both programs serve
  const known = new Set([...documented.matchAll(/`((?:adit|piko)_\w+)`/g)].map(([, name]) => name))
  const unknown = [...named].filter((name) => !known.has(name.replace(/_bucket$/, '')))
  expect(unknown).toEqual([])
  expect(named.size).toBeGreaterThan(5)
})

test('promtool takes the rules and the configuration', ({ skip }) => {
  const promtool = findProgram('promtool', 'prometheus')
  if (promtool === undefined) {
    skip('no promtool')
    return
  }
  for (const args of [
    ['check', 'rules', 'alerts.yml'],
    ['check', 'config', 'prometheus.yml'],
  ]) {
    const { status, stdout, stderr } = spawnSync(promtool, args, {
      cwd: MONITORING,
      encoding: 'utf8',
    })
    expect({ status, said: `${stdout}${stderr}` }).toMatchObject({ status: 0 })
  }
})

test('an alert says that a server has no agents, not that one of its workers has none', ({
  skip,
}) => {
  const promtool = findProgram('promtool', 'prometheus')
  if (promtool === undefined) {
    skip('no promtool')
    return
  }
  using folder = temporaryDirectory()
  const series = (instance: string, agents: readonly number[]) =>
    agents.map((count, index) => ({
      series: `piko_upstreams_connected_upstreams{instance="${instance}",worker="${index + 1}"}`,
      values: `${count}+0x10`,
    }))
  const rules = {
    rule_files: [`${MONITORING}/alerts.yml`],
    tests: [
      {
        interval: '1m',
        input_series: [...series('busy', [2, 0]), ...series('idle', [0, 0])],
        alert_rule_test: [
          {
            eval_time: '6m',
            alertname: 'AditNoAgents',
            exp_alerts: [
              {
                exp_labels: { instance: 'idle' },
                exp_annotations: { summary: 'No agent is connected to idle' },
              },
            ],
          },
        ],
      },
    ],
  }
  const file = folder.write('rules-test.yml', JSON.stringify(rules))
  const { status, stdout, stderr } = spawnSync(promtool, ['test', 'rules', file], {
    encoding: 'utf8',
  })
  expect({ status, said: `${stdout}${stderr}` }).toMatchObject({ status: 0 })
})
