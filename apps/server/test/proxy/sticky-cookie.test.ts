// Endpoints with `balance: cookie`: a visitor stays with its agent, and a cookie that fits none is ignored.
import { createServer } from 'node:http'

import { parseAddressBlock } from '@proj/config/address'
import { RequestHeadReader } from '@proj/http1'
import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { Agent, forward } from '@proj/tunnel'
import { expect, onTestFinished, test } from 'vitest'

import { StickyCookies } from '../../src/proxy/sticky-cookie.ts'
import { type Fixture, request, type FixtureOptions, tunnel } from '../tunnel-fixture.ts'

const web = { tenant: '', name: 'web' }
const NAMES = ['first', 'second', 'third'] as const

interface Path extends Fixture {
  readonly others: readonly Agent[]
}

/** Agents of `web`, whose services answer their name. */
async function agentsOf(
  names: readonly string[],
  balance: 'cookie' | 'round-robin',
  options: FixtureOptions = {},
): Promise<Path> {
  const path = await tunnel({
    http: (_, res) => res.setHeader('set-cookie', 'own=1').end(names[0]),
    hop: false,
    server: { balances: [{ name: 'web', balance }] },
    ...options,
  })
  onTestFinished(async () => await path[Symbol.asyncDispose]())
  const others: Agent[] = []
  for (const name of names.slice(1)) {
    const service = await listening(createServer((_, res) => res.end(name)))
    onTestFinished(async () => await service[Symbol.asyncDispose]())
    const agent = new Agent({ url: path.upstreamUrl, connections: 1 })
    onTestFinished(async () => await agent[Symbol.asyncDispose]())
    forward(agent, 'web', { kind: 'http', service: { host: service.host, port: service.port } })
    others.push(agent)
  }
  await until(() => path.server.registry.agents(web) === names.length)
  // Each agent is asked whether it is still there when the next one comes, and passed over meanwhile.
  await until(() => path.server.registry.sessions(web).every(({ suspect }) => !suspect))
  return { ...path, others }
}

async function ask(port: number, cookie?: string, ...lines: string[]) {
  const all = cookie === undefined ? lines : [`Cookie: a=b; ${cookie}; c=d`, ...lines]
  const { status, headers, body } = await exchangeRaw(port, request('GET /', ...all))
  const set = /adit_agent=[^,]*/.exec(headers['set-cookie'] ?? '')?.[0]
  return { status, set, body: body.toString() }
}

/** The agents that answer several requests in a row. */
async function askOften(port: number, cookie?: string): Promise<string[]> {
  const bodies: string[] = []
  for (let count = 0; count < 6; count += 1) bodies.push((await ask(port, cookie)).body)
  return bodies
}

/** The cookie of each agent. */
async function cookiesOf(port: number): Promise<Map<string, string>> {
  const cookies = new Map<string, string>()
  for (let count = 0; count < NAMES.length; count += 1) {
    const { body, set = '' } = await ask(port)
    expect(set).toMatch(/^adit_agent=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/)
    cookies.set(body, set.split(';')[0] ?? '')
  }
  expect([...cookies.keys()].toSorted()).toEqual(NAMES)
  return cookies
}

test('a cookie leads to its agent each time, also beside visitors without one', async () => {
  const { port } = await agentsOf(NAMES, 'cookie')
  for (const [agent, cookie] of await cookiesOf(port)) {
    expect(await askOften(port, cookie)).toEqual(Array.from({ length: 6 }, () => agent))
    // The control: without a cookie agents take turns.
    expect(new Set(await askOften(port))).toEqual(new Set(NAMES))
    expect(await ask(port, cookie)).toEqual({ status: 200, set: undefined, body: agent })
  }
})

test('when its agent leaves, a visitor has another one and its cookie', async () => {
  const { port, others, server } = await agentsOf(NAMES, 'cookie')
  const cookies = await cookiesOf(port)
  const left = cookies.get('second') ?? ''
  await others[0]?.close()
  await until(() => server.registry.agents(web) === 2)
  const { body, set = '' } = await ask(port, left)
  const cookie = set.split(';')[0]
  expect(cookie).toBe(cookies.get(body))
  expect(await askOften(port, cookie)).toEqual(Array.from({ length: 6 }, () => body))
  // Those of the others stay where they are.
  const third = cookies.get('third')
  expect(await askOften(port, third)).toEqual(Array.from({ length: 6 }, () => 'third'))
})

test('a cookie that fits no agent is ignored, and no other balance sets one', async () => {
  const { port } = await agentsOf(['first', 'second'], 'cookie')
  for (const forged of ['adit_agent=', 'adit_agent=AAAAAAAAAAAAAAAA', 'adit_agent=..%2f']) {
    const answers = [await ask(port, forged), await ask(port, forged)]
    expect(answers.map(({ body }) => body).toSorted()).toEqual(['first', 'second'])
    expect(answers.every(({ set }) => set !== undefined)).toBe(true)
  }
  const { set = '', body } = await ask(port)
  const real = set.split(';')[0]
  // One that fits counts beside one that was set for a domain above.
  const both = await askOften(port, `adit_agent=AAAAAAAAAAAAAAAA; ${real}`)
  expect(both).toEqual(Array.from({ length: 6 }, () => body))
  const plain = await agentsOf(['first', 'second'], 'round-robin')
  expect((await ask(plain.port, real)).set).toBeUndefined()
  expect(new Set(await askOften(plain.port, real))).toEqual(new Set(['first', 'second']))
})

test('the cookie is Secure when the visitor came to a trusted proxy by HTTPS', async () => {
  const trustedProxies = [parseAddressBlock('127.0.0.1')]
  const { port } = await agentsOf(['first'], 'cookie', { edge: { trustedProxies } })
  const lines = ['X-Forwarded-For: 9.9.9.9', 'X-Forwarded-Proto: https']
  expect((await ask(port, undefined, ...lines)).set).toMatch(/; SameSite=Lax; Secure$/)
  const plain = ['X-Forwarded-For: 9.9.9.9', 'X-Forwarded-Proto: http']
  expect((await ask(port, undefined, ...plain)).set).not.toContain('Secure')
  const untrusted = await agentsOf(['first'], 'cookie')
  expect((await ask(untrusted.port, undefined, ...lines)).set).not.toContain('Secure')
})

test('a value fits one agent and one endpoint, at every server', () => {
  const cookies = new StickyCookies()
  const valueOf = (from: StickyCookies, endpoint: typeof web, peer: string): string => {
    const line = from.line(endpoint, peer, true)
    return /=([\w-]{16}); .*; Secure\r\n$/.exec(line)?.[1] ?? line
  }
  const other = { tenant: '', name: 'other' }
  const first = valueOf(cookies, web, 'a')
  expect(new Set([first, valueOf(cookies, web, 'b'), valueOf(cookies, other, 'a')]).size).toBe(3)
  expect(valueOf(new StickyCookies(), web, 'a')).toBe(first)
})

test('a thousand cookies cost one look at each agent', () => {
  const cookies = new StickyCookies()
  let looks = 0
  const agents = new Proxy(
    Array.from({ length: 50 }, (_, at) => `agent ${at}`),
    {
      get: (target, key, receiver): unknown => {
        if (typeof key === 'string' && /^\d+$/.test(key)) looks += 1
        return Reflect.get(target, key, receiver)
      },
    },
  )
  const made = Array.from(
    { length: 1_000 },
    (_, at) => `adit_agent=${String(at).padStart(16, '0')}`,
  )
  const nameOf = (agent: string) => /adit_agent=[^;]*/.exec(cookies.line(web, agent, false))?.[0]
  const find = (...pairs: (string | undefined)[]) => {
    const bytes = Buffer.from(request('GET /', `Cookie: ${pairs.join('; ')}`))
    const read = new RequestHeadReader().push(bytes)
    return read && cookies.findPeer(read.head, web, agents)
  }
  expect(find(...made, nameOf('agent 7'), nameOf('agent 3'))).toBe('agent 7')
  expect(looks).toBe(50)
})
