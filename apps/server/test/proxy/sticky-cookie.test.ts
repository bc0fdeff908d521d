// Endpoints with `balance: cookie`: a visitor stays with its agent, and a cookie that fits none is ignored.
import { createServer } from 'node:http'

import { parseAddressBlock } from '@proj/config/address'
import { RequestHeadReader } from '@proj/http1'
import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { Agent, forward } from '@proj/tunnel'
import { describe, expect, onTestFinished, test } from 'vitest'

import { agentKeysIn } from '../../src/proxy/sticky-cookie.ts'
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
  path.far?.registry.setBalance(() => balance)
  const { registry } = path.far ?? path.server
  const others: Agent[] = []
  for (const name of names.slice(1)) {
    const service = await listening(createServer((_, res) => res.end(name)))
    onTestFinished(async () => await service[Symbol.asyncDispose]())
    const agent = new Agent({ url: path.upstreamUrl, connections: 1 })
    onTestFinished(async () => await agent[Symbol.asyncDispose]())
    forward(agent, 'web', { kind: 'http', service: { host: service.host, port: service.port } })
    others.push(agent)
  }
  await until(() => registry.agents(web) === names.length)
  // Each agent is asked whether it is still there when the next one comes, and passed over meanwhile.
  await until(() => registry.sessions(web).every(({ suspect }) => !suspect))
  if (balance === 'cookie') await untilKnown(path, names.length)
  return { ...path, others }
}

/** Waits until the node of the visitors knows so many agents of the other one, where there is one. */
async function untilKnown({ far, server }: Path | Fixture, count: number): Promise<void> {
  if (far === undefined) return
  await until(() => server.registry.remote?.routes(web)[0]?.agents?.split(' ').length === count)
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

describe.each([false, true])('agents at another node: %s', (hop) => {
  test('a cookie leads to its agent each time, also beside visitors without one', async () => {
    const { port } = await agentsOf(NAMES, 'cookie', { hop })
    for (const [agent, cookie] of await cookiesOf(port)) {
      expect(await askOften(port, cookie)).toEqual(Array.from({ length: 6 }, () => agent))
      // The control: without a cookie agents take turns.
      expect(new Set(await askOften(port))).toEqual(new Set(NAMES))
      expect(await ask(port, cookie)).toEqual({ status: 200, set: undefined, body: agent })
    }
  })

  test('when its agent leaves, a visitor has another one and its cookie', async () => {
    const path = await agentsOf(NAMES, 'cookie', { hop })
    const { port, others, server, far } = path
    const cookies = await cookiesOf(port)
    const left = cookies.get('second') ?? ''
    await others[0]?.close()
    await until(() => (far ?? server).registry.agents(web) === 2)
    await untilKnown(path, 2)
    const { body, set = '' } = await ask(port, left)
    const cookie = set.split(';')[0]
    expect(cookie).toBe(cookies.get(body))
    expect(await askOften(port, cookie)).toEqual(Array.from({ length: 6 }, () => body))
    // Those of the others stay where they are.
    const third = cookies.get('third')
    expect(await askOften(port, third)).toEqual(Array.from({ length: 6 }, () => 'third'))
  })

  test('a cookie that fits no agent is ignored, and no other balance sets one', async () => {
    const { port } = await agentsOf(['first', 'second'], 'cookie', { hop })
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
    const plain = await agentsOf(['first', 'second'], 'round-robin', { hop })
    expect((await ask(plain.port, real)).set).toBeUndefined()
    expect(new Set(await askOften(plain.port, real))).toEqual(new Set(['first', 'second']))
  })
})

describe('a visitor of a node that has agents of its own', () => {
  test('has the agent of its cookie at the other node, and one of this node without a cookie', async () => {
    const path = await agentsOf(['far', 'farther'], 'cookie', { hop: true })
    const { port, server, nodes } = path
    const cookies = new Map<string, string>()
    for (let turn = 0; turn < 2; turn += 1) {
      const { body, set = '' } = await ask(port)
      cookies.set(body, set.split(';')[0] ?? '')
    }
    const near = await listening(createServer((_, res) => res.end('near')))
    onTestFinished(async () => await near[Symbol.asyncDispose]())
    const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
    const agent = new Agent({ url, connections: 1 })
    onTestFinished(async () => await agent[Symbol.asyncDispose]())
    await forward(agent, 'web', { kind: 'http', service: near }).ready()
    const { set = '', body } = await ask(port)
    expect(body).toBe('near')
    expect([...cookies.keys()].toSorted()).toEqual(['far', 'farther'])
    for (const [name, cookie] of cookies) {
      expect(await askOften(port, cookie)).toEqual(Array.from({ length: 6 }, () => name))
    }
    expect(await askOften(port, set.split(';')[0])).toEqual(Array.from({ length: 6 }, () => 'near'))
    // One stream that is kept, and not one for each request.
    const before = nodes?.links[1].accepted.hops ?? 0
    using visitor = await path.visit()
    for (let turn = 0; turn < 3; turn += 1) {
      await visitor.send(request('GET /', `Cookie: ${cookies.get('far')}`))
      expect((await visitor.readResponse()).body.toString()).toBe('far')
    }
    expect((nodes?.links[1].accepted.hops ?? 0) - before).toBeLessThanOrEqual(1)
  })

  test('has another agent and its cookie when that agent has just left the other node', async () => {
    const path = await agentsOf(['far', 'farther'], 'cookie', { hop: true })
    const { port, server, far } = path
    const { body, set = '' } = await ask(port)
    const cookie = set.split(';')[0]
    const remote = server.registry.remote
    const [known] = remote?.routes(web) ?? []
    const gone = body === 'far' ? path.agent : path.others[0]
    await gone?.close()
    await until(() => far?.registry.agents(web) === 1)
    await untilKnown(path, 1)
    // The node of the visitor has not heard of it yet.
    if (known !== undefined && remote !== undefined) remote.routes = () => [known]
    const answer = await ask(port, cookie)
    expect([answer.status, answer.body]).toEqual([200, body === 'far' ? 'farther' : 'far'])
    expect(answer.set).toMatch(/^adit_agent=[\w-]{16}; /)
    expect(answer.set).not.toBe(set)
  })

  test('sets no cookie for an agent of a node of an earlier version, and keeps that of its own', async () => {
    const { port, server } = await agentsOf(['far', 'farther'], 'cookie', { hop: true })
    const remote = server.registry.remote
    const [known] = remote?.routes(web) ?? []
    if (known === undefined || remote === undefined) throw new Error('no route')
    remote.routes = () => [{ ...known, agents: undefined }]
    const answers = [await ask(port), await ask(port)]
    expect(answers.map(({ set }) => set)).toEqual([undefined, undefined])
    expect(answers.map(({ body }) => body).toSorted()).toEqual(['far', 'farther'])
  })
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

test('a thousand cookies cost one look at each agent', async () => {
  const { server } = await agentsOf(NAMES, 'cookie')
  const { registry } = server
  const made = Array.from(
    { length: 1_000 },
    (_, at) => `adit_agent=${String(at).padStart(16, '0')}`,
  )
  const [first = '', , third = ''] = registry
    .sessions(web)
    .map((session) => registry.keyOf(web, session))
  const find = (...keys: readonly string[]): [string | undefined, number] => {
    const pairs = [...made, ...keys.map((key) => `adit_agent=${key}`)]
    const bytes = Buffer.from(request('GET /', `Cookie: ${pairs.join('; ')}`))
    const read = new RequestHeadReader().push(bytes)
    const asked = read === undefined ? new Map<string, number>() : agentKeysIn(read.head)
    let looks = 0
    const counted = { size: asked.size, get: (key: string) => (looks++, asked.get(key)) }
    return [registry.findByKey(web, counted as Map<string, number>), looks]
  }
  expect(find(third, first)).toEqual([third, 3])
  expect(find()).toEqual([undefined, 3])
})
