/** Everything a peer can ask of a server, over real sockets; the answer is boiled down to yes or no. */
import { once } from 'node:events'
import { type IncomingMessage, request as plain } from 'node:http'
import { request as secure } from 'node:https'

import { Agent, Consumer, isTunnelError, type ServerOptions } from '@proj/tunnel'
import { until } from '@proj/testkit/until'

/** A server under test and what is shown to it. */
export interface Shown {
  /** Base URLs of its ports. */
  readonly upstream: string
  readonly proxy: string
  readonly admin: string
  /** Bearer token. */
  readonly token?: string | undefined
  /** Tenant that is named. */
  readonly tenant?: string | undefined
  /** Authority, certificate and key, where the server speaks TLS. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string } | undefined
}

/** What a server said to a request: status and text, or how a session fared. */
export type Answer = string

/** Asks for one thing with an endpoint. */
export type Verb = (shown: Shown, endpoint: string) => Promise<Answer>

/** An endpoint that no credential of the tests is refused, to have a session at all. */
export const HOME = 'pc1'

/** Every verb by name. */
export const VERBS = {
  'listen by route': async (shown, endpoint) =>
    await upgrade(shown, shown.upstream, `/piko/v1/upstream/${endpoint}`),
  'listen by message': async (shown, endpoint) => {
    const options = { ...serverOf(shown, shown.upstream), connections: 1 }
    await using agent = new Agent(options)
    // The route names the first endpoint; the one in question comes by message.
    const names = endpoint === HOME ? [HOME] : [HOME, endpoint]
    const listeners = names.map((name) => agent.listen(name, { kind: 'tcp' }))
    try {
      for (const listener of listeners) await listener.ready()
      return 'registered'
    } catch (error) {
      return codeOf(error)
    }
  },
  'connect by route': async (shown, endpoint) =>
    await upgrade(shown, shown.proxy, `/_piko/v1/tcp/${endpoint}`),
  'connect by stream': async (shown, endpoint) => {
    await using consumer = new Consumer(serverOf(shown, shown.proxy))
    try {
      const way = await consumer.open(endpoint)
      if (way.protocol !== 'adit') return way.protocol
      const { channel } = way
      let reason = -1
      channel.attach({
        onData() {},
        onEnd() {},
        onDrain() {},
        onClose: (error) => (reason = error?.reason ?? 0),
      })
      await until(() => reason >= 0)
      return `reset ${reason}`
    } catch (error) {
      return codeOf(error)
    }
  },
  query: async (shown, endpoint) => {
    await using consumer = new Consumer(serverOf(shown, shown.proxy))
    try {
      await consumer.ready()
      const state = await consumer.query(endpoint, { signal: AbortSignal.timeout(20_000) })
      return state?.permitted === false ? 'not-permitted' : 'told'
    } catch (error) {
      return codeOf(error)
    }
  },
  reserve: async (shown, endpoint) =>
    await ask(shown, 'PUT', shown.upstream, `/adit/v1/reservations/${endpoint}`),
  release: async (shown, endpoint) =>
    await ask(shown, 'DELETE', shown.upstream, `/adit/v1/reservations/${endpoint}`),
  list: async (shown) => await ask(shown, 'GET', shown.upstream, '/adit/v1/reservations'),
  'admin page': async (shown) => await ask(shown, 'GET', shown.admin, '/status/edge'),
  metrics: async (shown) => await ask(shown, 'GET', shown.admin, '/metrics'),
} as const satisfies Record<string, Verb>

/** Whether an answer is a refusal of who somebody is or of what they may do. */
export function isRefusal(answer: Answer): boolean {
  return /^40[13] |^TUNNEL_UNAUTHORIZED|not-permitted|^reset 7$|refused \(not-permitted\)/.test(
    answer,
  )
}

function serverOf(
  { token, tenant, tls }: Shown,
  url: string,
): ServerOptions & { readonly backoff: object } {
  return {
    url,
    backoff: { minMs: 1, maxMs: 1 },
    ...(token !== undefined && { token }),
    ...(tenant !== undefined && { tenantId: tenant }),
    ...(tls !== undefined && { connect: { tls: { ...tls } } }),
  }
}

async function upgrade(shown: Shown, base: string, path: string): Promise<Answer> {
  const request = requestTo(shown, 'GET', base, path, {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  })
  return await new Promise((resolve, reject) => {
    request.once('upgrade', (_, socket) => {
      socket.on('error', () => {})
      socket.once('close', () => resolve('101'))
      socket.destroy()
    })
    request.once('response', (response) => resolve(bodyOf(response)))
    request.once('error', reject)
    request.end()
  })
}

async function ask(shown: Shown, method: string, base: string, path: string): Promise<Answer> {
  const request = requestTo(shown, method, base, path, {})
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return await bodyOf(response)
}

function requestTo(
  { token, tenant, tls }: Shown,
  method: string,
  base: string,
  path: string,
  more: Record<string, string>,
) {
  const headers = {
    ...more,
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(tenant !== undefined && { 'x-piko-tenant-id': tenant }),
  }
  const options = { method, headers, agent: false } as const
  const url = new URL(path, base)
  return url.protocol === 'https:' ? secure(url, { ...options, ...tls }) : plain(url, options)
}

async function bodyOf(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const { statusCode } = response
  const isJson = response.headers['content-type']?.includes('json') === true
  const { error = '' } = isJson && text !== '' ? (JSON.parse(text) as { error?: string }) : {}
  return `${statusCode} ${error}`
}

function codeOf(error: unknown): Answer {
  if (!isTunnelError(error)) throw error
  return `${error.code} ${error.message}`
}
