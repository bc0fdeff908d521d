// Which way the agent takes, on a host with two uplinks (see the picture in testkit's
// network-namespaces.ts). It takes root, and is skipped loudly without it. The commands are those of
// docs/networks.md.
import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { netnsMissing } from '@proj/testkit/netns'
import { networkNamespaces, type NetworkNamespaces } from '@proj/testkit/network-namespaces'
import { spawned, type Spawned } from '@proj/testkit/spawned'

import { adit, aditServer } from '../../../server/test/e2e/programs.ts'

const SERVER = '10.71.9.1'
const LAN = '10.71.1.2'
const WIFI = '10.71.2.2'

/** A page of the server, asked for on the server's host. */
const VISIT = `
  const [url, host] = process.argv.slice(1)
  const response = await fetch(url, { headers: { 'x-piko-endpoint': host } })
  console.log(await response.text())`

const missing = netnsMissing()
let net: NetworkNamespaces
let server: Spawned

beforeAll(async () => {
  if (missing !== undefined) return
  net = networkNamespaces()
  server = aditServer(['--insecure-open', '--json'], {
    prefix: ['ip', 'netns', 'exec', net.server],
  })
  await server.event('ready')
})
afterAll(async () => {
  await server?.stop()
  net?.[Symbol.dispose]()
})

/** Asks the server for a page; `host` is the endpoint. */
function page(url: string, host = ''): string {
  const script = [process.execPath, '--input-type=module', '-e', VISIT, url, host]
  return execFileSync('ip', ['netns', 'exec', net.server, ...script], { encoding: 'utf8' }).trim()
}

/** Where the server sees the agents of an endpoint come from, as its status says. */
function seenFrom(endpoint: string): string[] {
  const sessions = JSON.parse(page('http://localhost:8002/status/upstream/sessions')) as {
    endpoint: string
    remoteAddress: string
  }[]
  return sessions.filter((one) => one.endpoint === endpoint).map((one) => one.remoteAddress)
}

/** Starts an agent on the host with two uplinks, for a service there. */
function agentFor(endpoint: string, args: readonly string[], env: Record<string, string> = {}) {
  const url = ['--connect.url', `http://${SERVER}:8001`, '--connect.connections', '1']
  const prefix = ['ip', 'netns', 'exec', net.client]
  return adit(['http', endpoint, '3000', ...url, ...args, '--json'], { prefix, env })
}

/** Answers every request with one word, on the host with two uplinks. */
async function service(): Promise<void> {
  const code = `require('node:http').createServer((_, response) => response.end('served'))
    .listen(3000, () => console.log('ready'))`
  await spawned('ip', ['netns', 'exec', net.client, process.execPath, '-e', code]).line(/ready/)
}

const WAYS: readonly (readonly [args: readonly string[], from: string])[] = [
  [[], LAN], // the better route
  [['--connect.bind-addr', LAN], LAN],
  [['--connect.bind-addr', WIFI], WIFI],
  [['--connect.bind-addr', '10.71.3.2,10.71.2.2'], WIFI], // the first is not there
  [['--connect.bind-interface', 'a1'], WIFI],
]

test.for(WAYS)('adit http %j comes from %s', async ([args, from], { skip }) => {
  skip(missing !== undefined, missing)
  const agent = agentFor('web', args)
  await agent.event('ready')
  expect(seenFrom('web')).toEqual([from])
  await agent.stop()
})

test('a source that is not there is no reason to end: the message lists what is', async ({
  skip,
}) => {
  skip(missing !== undefined, missing)
  const agent = agentFor('web', ['--connect.bind-addr', '10.71.3.2'])
  const { err } = JSON.parse(await agent.line(/trying again/)) as {
    err: { code: string; message: string; hint: string }
  }
  expect(err.code).toBe('DIAL_BIND_NOT_LOCAL')
  for (const address of [LAN, WIFI]) expect(err.message + err.hint).toContain(address)
})

test('an interface that vanishes and comes back takes the agent along', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await service()
  const agent = agentFor('back', [
    '--connect.bind-interface',
    'a1',
    '--connect.ping-interval',
    '500ms',
  ])
  await agent.event('ready')
  expect(page('http://localhost:8000/', 'back')).toBe('served')
  let gone = true
  const back = (): void => {
    if (!gone) return
    gone = false
    net.inClient(`ip addr add ${WIFI}/24 dev a1`)
    net.inClient('ip route replace default via 10.71.2.1 dev a1 metric 200') // gone with the last address
  }
  onTestFinished(back)
  net.inClient(`ip addr del ${WIFI}/24 dev a1`)
  await agent.line(/DIAL_BIND_INTERFACE_DOWN|DIAL_BIND_FAMILY/)
  back()
  // Connected once before, and once again.
  await count(agent, /connected to server/, 2)
  expect(page('http://localhost:8000/', 'back')).toBe('served')
  // The server may not have noticed yet that the old connection is dead.
  expect(new Set(seenFrom('back'))).toEqual(new Set([WIFI]))
})

test('an uplink that loses its address is left at once', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await service()
  const agent = agentFor('moved', [])
  await agent.event('ready')
  expect(seenFrom('moved')).toEqual([LAN])
  onTestFinished(() => {
    net.inClient(`ip addr add ${LAN}/24 dev a0`)
    net.inClient('ip route replace default via 10.71.1.1 dev a0 metric 100')
  })
  net.inClient(`ip addr del ${LAN}/24 dev a0`)
  // Pings that are not answered end with another code, 12.5 s later.
  await agent.line(/TUNNEL_NETWORK_CHANGED/)
  await count(agent, /connected to server/, 2)
  expect(page('http://localhost:8000/', 'moved')).toBe('served')
  expect(seenFrom('moved')).toContain(WIFI)
})

test('an uplink that loses its route but not its address is left', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await service()
  const agent = agentFor('routed', [])
  await agent.event('ready')
  expect(seenFrom('routed')).toEqual([LAN])
  onTestFinished(() => {
    net.inServer('ip addr replace 10.71.1.1/24 dev s0')
    net.inClient('ip route replace default via 10.71.1.1 dev a0 metric 100')
  })
  // The gateway is dead; a link that is down would take the address of the agent away.
  net.inServer('ip addr del 10.71.1.1/24 dev s0')
  net.inClient('ip route del default via 10.71.1.1 dev a0 metric 100')
  // Pings that are not answered end with another code.
  await agent.line(/TUNNEL_NETWORK_CHANGED/)
  await count(agent, /connected to server/, 2)
  expect(page('http://localhost:8000/', 'routed')).toBe('served')
  expect(seenFrom('routed')).toContain(WIFI)
})

test('a proxy of the environment is used, and --connect.proxy-url direct turns it off', async ({
  skip,
}) => {
  skip(missing !== undefined, missing)
  const env = { HTTP_PROXY: `http://${SERVER}:9` }
  const misled = agentFor('web', [], env)
  expect(JSON.parse(await misled.line(/trying again/)).err.message).toContain(
    `cannot reach the proxy at ${SERVER}:9`,
  )
  await misled.stop()
  const direct = agentFor('web', ['--connect.proxy-url', 'direct'], env)
  await direct.event('ready')
  expect(seenFrom('web')).toEqual([LAN])
})

test('adit connect explain says by which link the system would really leave', async ({ skip }) => {
  skip(missing !== undefined, missing)
  const url = ['--connect.url', `http://${SERVER}:8001`]
  const prefix = ['ip', 'netns', 'exec', net.client]
  const explain = adit(['connect', 'explain', ...url, '--connect.bind-addr', WIFI], { prefix })
  expect((await explain.exited).code).toBe(0)
  expect(explain.stdout).toContain('would leave by a0')
  expect(explain.stdout).toContain(`ip rule add from ${WIFI} table 100`)
})

/** Waits until a program has written so many lines that match. */
async function count(program: Spawned, match: RegExp, wanted: number): Promise<void> {
  const lines = new Set<string>() // a line is looked at more than once
  const enough = (line: string): boolean => match.test(line) && lines.add(line).size >= wanted
  await program.line(enough)
}
