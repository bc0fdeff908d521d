import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

import { Backoff } from '@proj/dialer'
import {
  type Channel,
  type ChannelSink,
  MuxError,
  Session,
  type StreamCount,
  type WindowBudget,
} from '@proj/mux'
import { Doubt, encodeStreamRecord, type StreamRecord } from '@proj/tunnel/server'
import type { Logger } from '@proj/tunnel'

import type { ClusterNode } from '../model.ts'
import { formatGreeting, type Greeting, ControlReader } from './control-stream.ts'
import { linkLimits } from './link-limits.ts'
import { type NodePage, NodePageReader, type ReadNodePage } from './node-page.ts'
import { type LinkTls, peerFingerprint, tlsOptionsOf } from './link-tls.ts'

/**
 * State of a link: not asked for yet, being made for the first time or anew, in use, in use though the node does
 * not answer, or failed until the next attempt.
 */
export type LinkState = 'idle' | 'connecting' | 'up' | 'silent' | 'down'

/** What all links of a node share. */
export interface LinkParts {
  /** What this node says of itself. */
  readonly greeting: Greeting
  readonly tls: LinkTls
  /** Whether links without TLS to unix sockets are made, see ClusterLinksOptions. */
  readonly isLocal: boolean
  /** Memory that windows of all sessions may grow by together. */
  readonly windowBudget: WindowBudget | undefined
  /** Reads pages for other nodes; undefined: they get none. */
  readonly readPage: ReadNodePage | undefined
  /** As in ClusterLinksOptions. */
  readonly onLongLivedOver: ((session: Session) => void) | undefined
  readonly logger: Logger
}

/** How an address begins that is a unix socket. */
const UNIX = 'unix:'
/** Time for TCP, TLS and the greeting together, ms. */
const CONNECT_MS = 5_000
/** A node is pinged this often, ms, so that one that is silent is known before a visitor meets it. */
const PING_MS = 1_000

/**
 * The link to another node, for the visitors of this one: made when the node comes into the table, kept as long as it
 * is there, and made again when it is lost.
 */
export class NodeLink {
  readonly node: ClusterNode
  /** `boot` of the run that the link is for. */
  readonly boot: string
  /** Streams that were opened, since it was made. */
  opened = 0
  readonly #address: string
  readonly #fingerprint: string
  readonly #parts: LinkParts
  readonly #backoff = new Backoff({ minMs: 50, baseMs: 200, maxMs: 3_000 })
  readonly #retired = new AbortController()
  #state: 'idle' | 'connecting' | 'up' | 'down' = 'idle'
  #session: Session | undefined
  #control: Channel | undefined
  /** The node takes no more streams: it is about to stop. */
  #isLeaving = false
  #doubt: Doubt | undefined
  #pings: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined
  /** Whether it has been up: what follows a loss is a sign that something is wrong. */
  #hasBeenUp = false
  /** Those that wait until it is up, or has failed. */
  readonly #waiting = new Set<() => void>()
  /** Those that wait until it is up, or retired. */
  readonly #awaited = new Set<() => void>()
  /** Bytes of sessions that are over. */
  #sent = 0
  #received = 0

  constructor(node: ClusterNode, parts: LinkParts) {
    this.node = node
    this.boot = node.boot
    this.#address = node.address
    this.#fingerprint = node.fingerprint
    this.#parts = parts
  }

  /** Aborted when the node is gone or has started again: no more streams. */
  get retired(): AbortSignal {
    return this.#retired.signal
  }

  /** Whether it still is the link to what a node's row says. */
  fits({ boot, address, fingerprint }: ClusterNode): boolean {
    return boot === this.boot && address === this.#address && fingerprint === this.#fingerprint
  }

  /** What it is doing. */
  get state(): LinkState {
    return this.#state === 'up' && this.#doubt?.isUnanswered === true ? 'silent' : this.#state
  }

  /** Whether the node is to be picked last. */
  get suspect(): boolean {
    if (this.#state === 'up') return this.#isLeaving || this.#doubt?.isUnanswered === true
    return this.#state === 'down' || (this.#state === 'connecting' && this.#hasBeenUp)
  }

  /** Streams open now. */
  get openStreams(): number {
    return this.#session?.openStreams ?? 0
  }

  /** Streams that can be opened now; Infinity when none will be before long. */
  get openable(): number {
    if (this.#state === 'connecting') return 0
    return this.#state === 'up' ? (this.#session?.openable ?? 0) : Infinity
  }

  /** Connections that were made, one after the other. */
  connections = 0

  /** Bytes over all its connections. */
  get bytes(): { readonly sent: number; readonly received: number } {
    const now = this.#session?.stats()
    const sent = this.#sent + (now?.bytesSent ?? 0)
    return { sent, received: this.#received + (now?.bytesReceived ?? 0) }
  }

  /**
   * Opens a stream, behind its record.
   *
   * @throws {MuxError} as `Session.openChannel`; MUX_ACK_BACKLOG also while the link is being made.
   */
  open(record: StreamRecord, sink?: ChannelSink, count?: StreamCount): Channel {
    const session = this.#session
    if (this.#state !== 'up' || session === undefined) throw this.#notUp()
    const head = encodeStreamRecord(record)
    const channel = session.openChannel(sink, count)
    channel.write(head)
    this.opened += 1
    this.#doubt?.begin() // its acknowledgement is an answer that the node owes
    return channel
  }

  /**
   * Asks the node for a page of its admin port.
   *
   * @throws {Error} when the node does not answer, or its page is too long; the reason of the signal.
   */
  async ask(path: string, signal: AbortSignal): Promise<NodePage> {
    signal.throwIfAborted()
    const session = this.#session
    if (this.#state !== 'up' || session === undefined) throw this.#notUp()
    const record = encodeStreamRecord({ kind: 'control', endpoint: path })
    let stop = (): void => {}
    try {
      return await new Promise<NodePage>((resolve, reject) => {
        const reader = new NodePageReader((page) => {
          if (page instanceof Error) reject(page)
          else resolve(page)
        })
        const channel = session.openChannel(reader)
        reader.read(channel)
        const onAbort = (): void => {
          reject(signal.reason)
          channel.reset()
        }
        stop = () => signal.removeEventListener('abort', onAbort)
        signal.addEventListener('abort', onAbort, { once: true })
        channel.write(record)
        channel.end()
      })
    } finally {
      stop()
    }
  }

  #notUp(): MuxError {
    if (this.retired.aborted) return new MuxError('MUX_SESSION_CLOSED', 'the node is gone')
    if (this.#state === 'idle') this.#connect()
    return this.#state === 'connecting'
      ? new MuxError('MUX_ACK_BACKLOG', 'the link to the node is being made')
      : new MuxError('MUX_TRANSPORT_CLOSED', 'there is no link to the node now')
  }

  /** Begins to connect, if it was not asked for before. */
  start(): void {
    if (this.#state === 'idle' && !this.retired.aborted) this.#connect()
  }

  /** Waits while it is being made, or has too many streams. */
  async whenRoom({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#state === 'up') return await this.#session?.whenRoom({ signal })
    if (this.#state === 'connecting') await untilCalled(this.#waiting, signal)
  }

  /** Waits until it is up. @returns also when the node is gone, or when the signal aborts. */
  async whenUp(signal: AbortSignal): Promise<void> {
    this.start()
    if (this.#state !== 'up' && !this.retired.aborted) await untilCalled(this.#awaited, signal)
  }

  /** The node owes an answer: it is `suspect` unless it sends anything soon. */
  doubt(isAtOnce = false): void {
    if (this.#state === 'up') this.#doubt?.ask(isAtOnce)
  }

  /** No more streams; those that are open finish, until the signal aborts. */
  async retire(signal: AbortSignal): Promise<void> {
    this.#retired.abort()
    clearTimeout(this.#retry)
    const session = this.#session
    this.#setState('down')
    if (session === undefined) return
    this.#control?.end()
    await session.close({ signal }).catch(() => {}) // the time is over
    session.destroy()
  }

  #connect(): void {
    this.#setState('connecting')
    this.#again()
  }

  readonly #again = (): void => {
    this.#attempt().catch((error: unknown) => this.#failed(error))
  }

  async #attempt(): Promise<void> {
    const signal = AbortSignal.any([this.retired, AbortSignal.timeout(CONNECT_MS)])
    const socket = await this.#dial(signal)
    const session = new Session(socket, {
      role: 'client',
      ...linkLimits(this.#parts.windowBudget),
      onChannel: (channel) => channel.reset(), // the node opens none on a link of ours
    })
    session.once('goaway', () => {
      this.#isLeaving = true
      this.#control?.end()
    })
    try {
      this.#control = await this.#greet(session, signal)
    } catch (error) {
      session.destroy()
      throw error
    }
    this.#up(session)
  }

  /** TCP, then TLS; the certificate has to be that of the node's row. A unix socket is protected by its folder. */
  async #dial(signal: AbortSignal): Promise<Socket> {
    if (this.#address.startsWith(UNIX)) return await this.#dialUnix(signal)
    const { host, port } = hostAndPort(this.#address)
    const tcp = connectTcp({ host, port, noDelay: true, keepAlive: true })
    const socket = connectTls({ ...tlsOptionsOf(this.#parts.tls), socket: tcp })
    try {
      await untilSecure(socket, tcp, signal)
      if (peerFingerprint(socket) === this.#fingerprint) return socket
    } catch (error) {
      tcp.destroy()
      socket.destroy()
      throw error
    }
    socket.destroy()
    throw new Error('its certificate is not the one of its row')
  }

  async #dialUnix(signal: AbortSignal): Promise<Socket> {
    if (!this.#parts.isLocal) throw new Error('its address is a unix socket')
    const socket = connectTcp({ path: this.#address.slice(UNIX.length) })
    try {
      await once(socket, 'connect', { signal })
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  /** Opens the control stream, and waits for the node's greeting. */
  async #greet(session: Session, signal: AbortSignal): Promise<Channel> {
    const channel = session.openChannel()
    let late = (): void => {}
    const greeted = new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => {
        reject(new Error(why))
        session.destroy()
      }
      const check = ({ node, boot }: Greeting): void => {
        if (node === this.node.id && boot === this.boot) resolve()
        else fail('it is another node than its row says')
      }
      const endLongLived = (): void => this.#parts.onLongLivedOver?.(session)
      channel.attach(new ControlReader(channel, check, fail, endLongLived))
      channel.write(encodeStreamRecord({ kind: 'control', endpoint: '' }))
      channel.write(formatGreeting(this.#parts.greeting))
      session.once('close', () => fail('it closed the connection'))
      late = (): void => fail('it did not answer in time')
      signal.addEventListener('abort', late, { once: true })
    })
    try {
      await greeted
      return channel
    } finally {
      signal.removeEventListener('abort', late)
    }
  }

  #up(session: Session): void {
    const nowMs = performance.now()
    this.connections += 1
    this.#session = session
    this.#isLeaving = false
    this.#doubt = new Doubt(session)
    this.#hasBeenUp = true
    this.#backoff.connected(nowMs)
    this.#pings = setInterval(() => this.#doubt?.ask(), PING_MS).unref()
    this.#parts.logger.info({ node: this.node.id, address: this.#address }, 'link to a node is up')
    session.measurePath().catch(() => {}) // it is over already
    void session.closed.then(({ error }) => this.#lost(session, error))
    this.#setState('up')
  }

  #lost(session: Session, error: Error | undefined): void {
    clearInterval(this.#pings)
    const { bytesSent, bytesReceived } = session.stats()
    this.#sent += bytesSent
    this.#received += bytesReceived
    this.#session = undefined
    this.#doubt = undefined
    this.#backoff.lost(performance.now())
    if (this.retired.aborted) return
    const level = this.#isLeaving ? 'debug' : 'warn' // it has said that it ends
    this.#parts.logger[level]({ node: this.node.id, why: error?.message }, 'link to a node is lost')
    // Often the connection alone broke: visitors wait for the first attempt.
    this.#connect()
  }

  #failed(error: unknown): void {
    if (this.retired.aborted) return
    const delayMs = this.#backoff.next({}, performance.now())
    const why = error instanceof Error ? error.message : String(error)
    const level = this.#state === 'connecting' && !this.#isLeaving ? 'warn' : 'debug'
    this.#parts.logger[level](
      { node: this.node.id, address: this.#address, why, retryAfterMs: Math.round(delayMs) },
      'no link to a node',
    )
    this.#setState('down')
    this.#retry = setTimeout(this.#again, delayMs).unref() // what the node serves keeps the process alive
  }

  #setState(state: 'connecting' | 'up' | 'down'): void {
    this.#state = state
    if (state === 'up' || this.retired.aborted) for (const end of this.#awaited) end()
    if (state !== 'connecting') for (const end of this.#waiting) end()
  }
}

/** Waits for a call of a function in the set, which it leaves then, or for the signal. */
async function untilCalled(waiting: Set<() => void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    const end = (): void => {
      waiting.delete(end)
      signal.removeEventListener('abort', end)
      resolve()
    }
    waiting.add(end)
    signal.addEventListener('abort', end, { once: true })
  })
}

/** `host:port`, with an IPv6 address in brackets. */
function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  return { host, port: Number(address.slice(at + 1)) }
}

async function untilSecure(socket: TLSSocket, tcp: Socket, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => reject(new Error('it did not answer in time'))
    signal.addEventListener('abort', abort, { once: true })
    tcp.once('error', reject)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('it closed the connection')))
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', abort)
      tcp.off('error', reject)
      socket.off('error', reject)
      resolve()
    })
  })
}
