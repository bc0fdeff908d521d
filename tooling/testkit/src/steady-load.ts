// Visitors that come at a steady rate, and others that stay for long, to see what a restart costs: each
// request has a tag, the service counts how often it gets each, and the visitor looks whether the answer is
// its own. No visitor repeats a request.
import { randomBytes } from 'node:crypto'
import { once, setMaxListeners } from 'node:events'
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { text } from 'node:stream/consumers'

/** How many visitors come, and where. */
export interface SteadyLoadOptions {
  /** Address that they connect to. Default 127.0.0.1. */
  readonly address?: string
  /** Its port. */
  readonly port: number
  /** Their Host. */
  readonly host: string
  /** Requests per second of all together. Every other one is a POST. Default 200. */
  readonly perSecond?: number
  /** Visitors that keep their connection; they make half of the requests. Default 25. */
  readonly keptAlive?: number
  /**
   * Requests on connections of their own that run at once at most. On a machine that is too slow for the rate they
   * would pile up, until the queue of the service is full and its kernel ignores connections. Default 250.
   */
  readonly maxFresh?: number
  /** WebSockets, in form of an echo behind a 101. Default 50. */
  readonly webSockets?: number
  /** Answers of server-sent events that do not end. Default 20. */
  readonly events?: number
  /** Uploads that are in the middle of their body. Default 5. */
  readonly uploads?: number
}

/** What became of the requests. */
export interface SteadyLoadReport {
  readonly sent: number
  readonly answered: number
  /** One line for each request that failed, and its time. */
  readonly failed: readonly string[]
  /** Connections that were refused; they are among the failed ones. */
  readonly refused: number
  /** Answers with status 200 that are not those of the request; they are among the failed ones. */
  readonly wrong: number
  /** Requests that the service got twice. */
  readonly doubled: number
  /** Those of them that are POST: no proxy may repeat these. */
  readonly doubledPosts: number
  /** Longest time to an answer, ms. */
  readonly slowestMs: number
}

/** Time between two events of a stream, ms. */
const EVENT_MS = 100

/** Longest wait for one answer, ms. */
const ANSWER_MS = 60_000

/** The service that the visitors ask for, on loopback. */
export class CountingService {
  readonly #server: Server
  readonly #seen = new Map<string, number>()
  readonly #repeatedPosts = new Set<string>()
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor() {
    this.#server = createServer((asked, response) => void this.#answer(asked, response))
    this.#server.keepAliveTimeout = 0 // the path is looked at, not the service
    this.#server.on('upgrade', (_asked: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => {})
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n',
      )
      socket.write(head)
      socket.pipe(socket)
    })
  }

  /** Listens. @returns its port. */
  async listen(): Promise<number> {
    this.#server.listen({ host: '127.0.0.1', port: 0 })
    await once(this.#server, 'listening')
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** Requests that came more than once. */
  get doubled(): number {
    return [...this.#seen.values()].filter((times) => times > 1).length
  }

  /** Those of them that are POST. */
  get doubledPosts(): number {
    return this.#repeatedPosts.size
  }

  /** Ends it with all connections. */
  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(asked: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    const tag = asked.headers['x-tag'] as string
    const times = (this.#seen.get(tag) ?? 0) + 1
    this.#seen.set(tag, times)
    if (times > 1 && asked.method === 'POST') this.#repeatedPosts.add(tag)
    if (asked.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let count = 0
      const timer = setInterval(() => response.write(`data: ${tag} ${count++}\n\n`), EVENT_MS)
      this.#timers.add(timer)
      response.once('close', () => {
        clearInterval(timer)
        this.#timers.delete(timer)
      })
      return
    }
    const body = await text(asked).catch(() => '')
    response.end(`${asked.method} ${tag} ${body.length}`)
  }
}

/** Visitors at a steady rate, from `start` to `stop`. */
export class SteadyLoad {
  readonly #options: Required<SteadyLoadOptions>
  readonly #service: CountingService
  readonly #ending = new AbortController()
  readonly #failed: string[] = []
  readonly #running = new Set<Promise<void>>()
  #loops: Promise<void>[] = []
  #sent = 0
  #answered = 0
  #refused = 0
  #wrong = 0
  #slowestMs = 0
  #tag = 0

  constructor(service: CountingService, options: SteadyLoadOptions) {
    setMaxListeners(0, this.#ending.signal) // every visitor waits on it
    this.#service = service
    this.#options = {
      address: '127.0.0.1',
      perSecond: 200,
      keptAlive: 25,
      maxFresh: 250,
      webSockets: 50,
      events: 20,
      uploads: 5,
      ...options,
    }
  }

  /** Begins. */
  start(): void {
    const { perSecond, keptAlive } = this.#options
    const pauseMs = (1000 * keptAlive) / (perSecond / 2)
    for (let index = 0; index < keptAlive; index += 1) {
      this.#loops.push(this.#keptVisitor((pauseMs * index) / keptAlive, pauseMs))
    }
    this.#loops.push(this.#freshVisitors(1000 / (perSecond / 2)))
  }

  /** Answers so far. */
  get answered(): number {
    return this.#answered
  }

  /** Failed requests so far. */
  get failed(): number {
    return this.#failed.length
  }

  /** Ends, when every request that was sent has its answer. */
  async stop(): Promise<SteadyLoadReport> {
    this.#ending.abort()
    await Promise.all(this.#loops)
    await Promise.all(this.#running)
    return {
      sent: this.#sent,
      answered: this.#answered,
      failed: this.#failed,
      refused: this.#refused,
      wrong: this.#wrong,
      doubled: this.#service.doubled,
      doubledPosts: this.#service.doubledPosts,
      slowestMs: Math.round(this.#slowestMs),
    }
  }

  /** Opens visitors that stay. @returns looks whether each still works, and ends it. */
  async open(): Promise<() => Promise<void>> {
    const { webSockets, events, uploads } = this.#options
    const opened = await Promise.all([
      ...Array.from({ length: webSockets }, async () => await this.#webSocket()),
      ...Array.from({ length: events }, async () => await this.#events()),
      ...Array.from({ length: uploads }, async () => await this.#upload()),
    ])
    return async () => {
      const ended = await Promise.allSettled(opened.map(async (finish) => await finish()))
      for (const one of ended) {
        if (one.status === 'rejected') this.#fail('long-lived', one.reason)
      }
    }
  }

  async #keptVisitor(firstMs: number, pauseMs: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await this.#pause(firstMs)
    for (let index = 0; !this.#ending.signal.aborted; index += 1) {
      const beganAt = performance.now()
      await this.#visit(agent, index % 2 === 0 ? 'GET' : 'POST', 'kept-alive')
      await this.#pause(pauseMs - (performance.now() - beganAt))
    }
    agent.destroy()
  }

  async #freshVisitors(pauseMs: number): Promise<void> {
    const beganAt = performance.now()
    for (let index = 0; !this.#ending.signal.aborted; index += 1) {
      const visit = this.#visit(false, index % 2 === 0 ? 'GET' : 'POST', 'fresh')
      this.#running.add(visit)
      void visit.then(() => this.#running.delete(visit))
      if (this.#running.size >= this.#options.maxFresh) await Promise.race(this.#running)
      await this.#pause(beganAt + (index + 1) * pauseMs - performance.now())
    }
  }

  async #visit(agent: Agent | false, method: 'GET' | 'POST', kind: string): Promise<void> {
    const beganAt = performance.now()
    const tag = this.#nextTag()
    this.#sent += 1
    try {
      const asked = this.#request('/', { agent, method, tag })
      asked.end(method === 'POST' ? 'x'.repeat(100) : undefined)
      const response = await responseTo(asked)
      const body = await text(response)
      const wanted = `${method} ${tag} ${method === 'POST' ? 100 : 0}`
      if (response.statusCode !== 200 || body !== wanted) {
        if (response.statusCode === 200) this.#wrong += 1
        throw new Error(`${response.statusCode} ${JSON.stringify(body.slice(0, 200))}`)
      }
      this.#answered += 1
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - beganAt)
    } catch (error) {
      this.#fail(`${kind} ${method}`, error)
    }
  }

  async #webSocket(): Promise<() => Promise<void>> {
    const { address, port, host } = this.#options
    const socket = connect({ host: address, port })
    socket.on('error', () => {})
    socket.setEncoding('latin1')
    const tag = this.#nextTag()
    socket.write(
      `GET /echo HTTP/1.1\r\nhost: ${host}\r\nx-tag: ${tag}\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n`,
    )
    await received(socket, '\r\n\r\n')
    return async () => {
      socket.write(tag)
      await received(socket, tag)
      socket.destroy()
    }
  }

  async #events(): Promise<() => Promise<void>> {
    const tag = this.#nextTag()
    const asked = this.#request('/events', { agent: false, method: 'GET', tag })
    asked.end()
    const response = await responseTo(asked)
    response.setEncoding('utf8')
    await received(response, tag)
    return async () => {
      await received(response, tag) // one that was sent after the hand-over
      asked.destroy()
    }
  }

  async #upload(): Promise<() => Promise<void>> {
    const tag = this.#nextTag()
    const asked = this.#request('/upload', { agent: false, method: 'POST', tag })
    asked.write('x'.repeat(1000))
    await once(asked, 'socket')
    const answered = responseTo(asked)
    answered.catch(() => {}) // `finish` reports it
    return async () => {
      asked.end('x'.repeat(1000))
      const body = await text(await answered)
      if (body === `POST ${tag} 2000`) return
      throw new Error(`upload was answered ${JSON.stringify(body)}`)
    }
  }

  #request(
    path: string,
    how: { readonly agent: Agent | false; readonly method: string; readonly tag: string },
  ): ClientRequest {
    const { address, port, host } = this.#options
    const { agent, method, tag } = how
    const headers = { host, 'x-tag': tag }
    return request({ host: address, port, path, agent, method, headers, timeout: ANSWER_MS })
  }

  #nextTag(): string {
    return `${(this.#tag += 1)}-${randomBytes(4).toString('hex')}`
  }

  #fail(what: string, error: unknown): void {
    const { code = '' } = error as { readonly code?: string }
    if (code === 'ECONNREFUSED') this.#refused += 1
    const why = error instanceof Error ? error.message : String(error)
    this.#failed.push(`${new Date().toISOString()} ${what}: ${code} ${why}`)
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0) return
    await delay(ms, undefined, { signal: this.#ending.signal }).catch(() => {})
  }
}

async function responseTo(asked: ClientRequest): Promise<IncomingMessage> {
  asked.once('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_MS} ms`)))
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  asked.on('error', () => {}) // of the body: its reader has it
  return response
}

/** Waits until a stream of text has had a text. */
async function received(from: IncomingMessage | Socket, wanted: string): Promise<void> {
  if (from.destroyed) throw new Error(`closed before ${JSON.stringify(wanted)}`)
  let soFar = ''
  await new Promise<void>((resolve, reject) => {
    const onData = (chunk: string): void => {
      soFar += chunk
      if (soFar.includes(wanted)) settle(resolve)
    }
    const onClose = (): void =>
      settle(() => reject(new Error(`closed before ${JSON.stringify(wanted)}`)))
    const settle = (act: () => void): void => {
      from.off('data', onData).off('close', onClose)
      act()
    }
    from.on('data', onData).once('close', onClose)
  })
}
