// Length: who gets which port, here and on other nodes, is decided over one state.
import { createHash } from 'node:crypto'

import { formatUrl } from '@proj/config/address'
import {
  type InheritedSocket,
  type InheritedSockets,
  isPortcheckError,
  type WarningCode,
} from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'
import { resetSocket } from '@proj/tunnel/io'
import type { PortLease, PortRejection, PortWish, PublicPortSource } from '@proj/tunnel/server'

import { PortRanges } from './port-ranges.ts'
import { ownerKey, type PortClaims, type PortOwner } from './port-claims.ts'
import { PORT_REJECTIONS } from './port-rejections.ts'
import { noPortReservations, type PortReservations } from './port-reservations.ts'
import {
  type PublicPortOptions,
  type ResolvedPublicPortOptions,
  resolvePublicPortOptions,
} from './public-port-options.ts'
import { PublicPort } from './public-port.ts'
import { PublicVisitors, type PublicVisitorsParts } from './public-visitors.ts'

/** What public ports work with. */
export interface PublicPortsParts extends PublicVisitorsParts {
  /** Hosts of a port without the option `hosts`. Default: every address. */
  readonly defaultHosts?: () => readonly string[]
  /** Ports that are reserved with names. Default: none. */
  readonly reservations?: PortReservations
  /** Listening sockets of another process. Default: none. */
  readonly inherited?: InheritedSockets | undefined
  /** Decides about ports beyond this process. Default: this process alone does. */
  readonly claims?: PortClaims | undefined
  /** Called when a port gets an owner and when it is free again. Default: nothing. */
  readonly onChange?: (event: 'taken' | 'lost', port: PublicPort) => void
}

/** Owners whose port is remembered; the oldest are forgotten first. */
const MAX_REMEMBERED_PORTS = 10_000

/** Visitors of one inherited socket that wait for its owner; one more is reset. */
const MAX_HELD_PER_SOCKET = 256

/** Ports tried for one request: for each taken one its holder is looked up. */
const MAX_TRIED_PORTS = 256

/** Another program gets some of the visitors: such a port is not given to a request for any port. */
const SHARED: ReadonlySet<WarningCode> = new Set(['PC101', 'PC102', 'PC103'])

/**
 * The public TCP ports of a server and their owners. A port belongs to one endpoint of one identity, stays
 * claimed while a session serves it and for `hold` after that, and is the same one again when its owner
 * comes back and asks for any port.
 */
export class PublicPorts implements PublicPortSource {
  /** The connections of all ports. */
  readonly visitors: PublicVisitors
  readonly #logger: Logger
  readonly #reservations: PortReservations
  readonly #inherited: InheritedSockets | undefined
  readonly #claims: PortClaims | undefined
  readonly #absentWaitMs: number
  /** Runs until owners had time to come back; then visitors of ports without owner do not wait. */
  readonly #ownersMayCome: NodeJS.Timeout
  readonly #defaultHosts: () => readonly string[]
  readonly #onChange: (event: 'taken' | 'lost', port: PublicPort) => void
  readonly #history = new PortHistory()
  /** Claimed, or about to be. */
  readonly #byNumber = new Map<number, PublicPort>()
  readonly #byOwner = new Map<string, PublicPort>()
  /** The last request of each owner, while it runs: sessions of an agent ask at the same time. */
  readonly #turns = new Map<string, Promise<unknown>>()
  #options: ResolvedPublicPortOptions
  #ranges: PortRanges
  #stopping = false

  /** @throws {RangeError} naming an option out of range. */
  constructor(options: PublicPortOptions, parts: PublicPortsParts) {
    this.#options = resolvePublicPortOptions(options)
    this.#ranges = new PortRanges(this.#options.ranges)
    this.#logger = parts.logger
    this.#reservations = parts.reservations ?? noPortReservations
    this.#onChange = parts.onChange ?? (() => {})
    this.#defaultHosts = parts.defaultHosts ?? (() => ['*'])
    this.#inherited = parts.inherited
    this.#claims = parts.claims
    this.#ownersMayCome = setTimeout(() => {
      void this.#inherited?.refuseUnused()
    }, this.#options.holdMs)
    this.#ownersMayCome.unref() // does not keep the process alive
    this.visitors = new PublicVisitors(parts)
    this.#absentWaitMs = parts.registry.waits.absentWaitMs
  }

  /**
   * Lets visitors of inherited sockets that have no owner yet wait for it as those of other endpoints do, instead of
   * in the socket for `holdMs`. Called when no other process accepts from these sockets.
   */
  async holdInherited(): Promise<void> {
    if (this.#options.holdMs === 0) return // they are refused
    const limits = { earlyTimeoutMs: this.#absentWaitMs, maxEarlyConnections: MAX_HELD_PER_SOCKET }
    await this.#inherited?.holdUnused(limits, (connection, { port }) => {
      resetSocket(connection) // a FIN would look like an empty answer
      this.visitors.refused += 1
      this.#logger.debug({ port, why: 'no agent has come for the port' }, 'visitor refused')
    })
  }

  /** Ports that are claimed, in order. */
  get ports(): readonly PublicPort[] {
    return [...this.#byOwner.values()].toSorted((one, other) => one.number - other.number)
  }

  /** The listening sockets of every port, for a process that takes over. */
  descriptors(): InheritedSocket[] {
    return [...this.#byNumber.values()].flatMap((port) => port.descriptors())
  }

  /** The port an owner has now, served or held. */
  portOf(owner: PortOwner): number | undefined {
    return this.#byOwner.get(ownerKey(owner))?.number
  }

  /**
   * Changes the options but the hosts; ports that are claimed stay.
   *
   * @throws {RangeError} naming an option out of range; nothing has changed then.
   */
  configure(options: Omit<PublicPortOptions, 'hosts' | 'proxyProtocol'>): void {
    const { hosts, proxyProtocol } = this.#options
    this.#options = resolvePublicPortOptions({ ...options, hosts, proxyProtocol })
    this.#ranges = new PortRanges(this.#options.ranges)
    for (const port of this.#byOwner.values()) port.restrict(this.#options)
  }

  /** @inheritdoc */
  async take(wish: PortWish): Promise<PortLease | PortRejection> {
    const owner = ownerKey(wish)
    const turn = (this.#turns.get(owner) ?? Promise.resolve()).then(() => this.#place(wish))
    this.#turns.set(owner, turn)
    try {
      return await turn
    } finally {
      if (this.#turns.get(owner) === turn) this.#turns.delete(owner)
    }
  }

  /**
   * Another node has a port for an owner, whose visitors may come here as well: it is opened here, where that is
   * possible. Never rejects.
   */
  async openElsewhere(number: number, owner: PortOwner): Promise<void> {
    if (this.#stopping || !this.#ranges.has(number)) return
    const known = this.#byNumber.get(number)
    if (known !== undefined) {
      // Another owner here: the database decides, and who loses is told.
      if (ownerKey(known.owner) === ownerKey(owner)) known.isElsewhere = true
      return
    }
    const port = new PublicPort(number, owner)
    port.isElsewhere = true
    this.#byNumber.set(number, port)
    const key = ownerKey(owner)
    if (!this.#byOwner.has(key)) this.#byOwner.set(key, port)
    const fields = { port: number, endpoint: owner.endpoint.name }
    try {
      await this.#open(port)
      this.#logger.info(fields, 'public port of another node open')
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#logger.warn({ ...fields, why }, 'public port of another node cannot be opened here')
      if (this.#byNumber.get(number) === port) this.#byNumber.delete(number)
      if (this.#byOwner.get(key) === port) this.#byOwner.delete(key)
    }
  }

  /** No other node has a port any more. */
  closeElsewhere(number: number): void {
    const port = this.#byNumber.get(number)
    if (port?.isElsewhere !== true) return
    port.isElsewhere = false
    if (!port.isServed && port.heldUntil === undefined) this.#free(port)
  }

  /** The cluster gave a port of this node to another owner. */
  loseNumber(number: number): void {
    const port = this.#byNumber.get(number)
    if (port === undefined) return
    this.#logger.warn(
      { port: number, endpoint: port.owner.endpoint.name },
      'public port lost: it has another owner on another node',
    )
    this.#free(port)
  }

  /**
   * Frees every port and waits until the connections have ended.
   *
   * @param options.signal - ends the wait: what still runs then goes on until `destroy`.
   */
  async drain(options: { readonly signal: AbortSignal }): Promise<void> {
    this.#stop()
    await this.visitors.drain(options)
  }

  /** Frees every port and resets every connection now. */
  destroy(): void {
    this.#stop()
    this.visitors.destroy()
  }

  async #place(wish: PortWish): Promise<PortLease | PortRejection> {
    const owner = ownerKey(wish)
    const mine = this.#byOwner.get(owner)
    if (mine !== undefined) {
      if (wish.port === 0 || wish.port === mine.number) {
        return (await this.#claimBeyond(mine)) ?? this.#lease(mine, wish)
      }
      if (mine.hasAgents) return PORT_REJECTIONS.differs(mine.number)
    }
    if (this.#stopping || this.#ranges.size === 0) return PORT_REJECTIONS.off()
    const isForeign = wish.port !== 0 && !this.#ranges.has(wish.port)
    if (isForeign) return PORT_REJECTIONS.notAllowed(wish.port)
    if (!this.#makeRoom(wish, mine)) return PORT_REJECTIONS.limit(this.#options.maxPerIdentity)
    const found = await this.#find(wish)
    if (!(found instanceof PublicPort)) return found
    if (mine !== undefined) this.#free(mine)
    this.#byOwner.set(owner, found)
    this.#history.keep(owner, found.number)
    this.#onChange('taken', found)
    const { endpoint, identity } = wish
    const { number: port, addresses } = found
    this.#logger.info({ port, endpoint: endpoint.name, identity, addresses }, 'public port open')
    return this.#lease(found, wish)
  }

  #lease(port: PublicPort, { session }: PortWish): PortLease {
    const { publicHost } = this.#options
    this.#reservations.keep(port.owner, port.number)
    return {
      port: port.number,
      url: publicHost === undefined ? undefined : formatUrl('tcp', publicHost, port.number),
      release: port.serve(session, () => {
        const { holdMs } = this.#options
        if (holdMs > 0) port.hold(holdMs, () => this.#giveUp(port))
        else this.#giveUp(port)
      }),
    }
  }

  /** Claims a port that is open here; undefined: it is claimed. */
  async #claimBeyond(port: PublicPort): Promise<PortRejection | undefined> {
    if (this.#claims === undefined || port.claim !== undefined) return undefined
    const { number, owner } = port
    const answer = await this.#claims.take(number, owner)
    if (answer === 'taken') return PORT_REJECTIONS.served(number, port.since)
    if (answer === 'unavailable') return PORT_REJECTIONS.unavailable(number)
    // Meanwhile it may have been closed, or claimed for another session.
    const isUnwanted = this.#byNumber.get(number) !== port || port.claim !== undefined
    if (isUnwanted) answer.release()
    else port.claim = answer
    return this.#byNumber.get(number) === port ? undefined : PORT_REJECTIONS.unavailable(number)
  }

  /** Its owner has left this node; it stays open while it has agents on another one. */
  #giveUp(port: PublicPort): void {
    if (!port.isElsewhere) return this.#free(port)
    port.endHold()
    port.claim?.release()
    port.claim = undefined
  }

  /** An identity at its limit loses a port that is only held for it, the oldest first. */
  #makeRoom({ endpoint, identity }: PortOwner, mine: PublicPort | undefined): boolean {
    const has = [...this.#byNumber.values()].filter(
      (one) => one !== mine && isOfIdentity(one.owner, endpoint.tenant, identity),
    )
    if (has.length < this.#options.maxPerIdentity) return true
    const kept = has.filter((one) => one.heldUntil !== undefined)
    const [oldest] = kept.toSorted((one, other) => (one.heldUntil ?? 0) - (other.heldUntil ?? 0))
    if (oldest !== undefined) this.#giveUp(oldest)
    return oldest !== undefined
  }

  async #find(wish: PortWish): Promise<PublicPort | PortRejection> {
    if (wish.port !== 0) {
      const wanted = await this.#claim(wish.port, wish)
      const isTaken = 'code' in wanted && wanted.code === 'port-taken'
      if (!isTaken || this.#options.onConflict === 'wait') return wanted
      if (this.#options.onConflict === 'fail') {
        const { retryAfterMs: _, ...forGood } = wanted
        return forGood
      }
    }
    let tried = 0
    for (const number of this.#candidates(wish)) {
      if (tried === MAX_TRIED_PORTS) break
      tried += 1
      const found = await this.#claim(number, wish)
      if (found instanceof PublicPort || found.code === 'port-unavailable') return found
    }
    return PORT_REJECTIONS.noneLeft()
  }

  *#candidates(wish: PortWish): Generator<number> {
    if (wish.port !== 0) {
      yield* this.#ranges.after(wish.port)
      return
    }
    const owner = ownerKey(wish)
    const last = this.#reservations.portOf(wish) ?? this.#history.find(owner)
    if (last !== undefined && this.#ranges.has(last)) yield last
    // The same start for the same owner: after a restart of the server it is mostly the same port.
    const start = createHash('sha256').update(owner).digest().readUInt32BE(0)
    for (const number of this.#ranges.from(start)) if (number !== last) yield number
  }

  async #claim(number: number, wish: PortWish): Promise<PublicPort | PortRejection> {
    const { endpoint, identity } = wish
    const other = this.#byNumber.get(number)
    if (other !== undefined) {
      const isOwn = isOfIdentity(other.owner, endpoint.tenant, identity)
      const isGivenUp = isOwn && other.heldUntil !== undefined && wish.port === number
      if (!isGivenUp) return this.#refuse(other, isOwn)
      this.#free(other) // its endpoint has another name now
    }
    const reserved = this.#reservations.ownerOf(number)
    if (reserved !== undefined && ownerKey(reserved) !== ownerKey(wish)) {
      return PORT_REJECTIONS.reserved(number)
    }
    const port = new PublicPort(number, { endpoint, identity })
    this.#byNumber.set(number, port)
    try {
      await this.#open(port)
    } catch (error) {
      this.#byNumber.delete(number)
      return this.#explain(error, number, wish)
    }
    const refused = await this.#claimBeyond(port)
    if (refused !== undefined) {
      this.#free(port)
      return refused
    }
    const shared = port.warnings.filter(({ code }) => SHARED.has(code))
    if (this.#stopping || (wish.port === 0 && shared.length > 0)) {
      this.#free(port)
      return this.#stopping ? PORT_REJECTIONS.off() : PORT_REJECTIONS.ofProgram(number)
    }
    for (const { code, text } of shared) {
      this.#logger.warn({ port: number, endpoint: endpoint.name, code }, text)
    }
    return port
  }

  async #open(port: PublicPort): Promise<void> {
    await port.open({
      ...this.#options,
      inherited: this.#inherited,
      hosts: this.#options.hosts ?? this.#defaultHosts(),
      onConnection: (socket, peer) => this.visitors.accept(port, socket, peer, this.#options),
    })
  }

  #refuse(other: PublicPort, isOwn: boolean): PortRejection {
    const { number, since, heldUntil, sessions } = other
    // If its agents are gone without a FIN, the port is only held by the time of the next request. Another
    // identity must not cause pings: an unanswered one ends a session.
    if (isOwn) for (const session of sessions) session.probe()
    if (heldUntil === undefined) return PORT_REJECTIONS.served(number, since)
    return PORT_REJECTIONS.held(number, since, Math.max(0, heldUntil - Date.now()))
  }

  /** The log names the holder of the port; the agent learns only that it is taken. */
  #explain(error: unknown, port: number, { endpoint, port: asked }: PortWish): PortRejection {
    const isBusy = isPortcheckError(error, 'PORTCHECK_PORT_BUSY')
    const isDenied = isPortcheckError(error, 'PORTCHECK_PORT_DENIED')
    const why = error instanceof Error ? error.message : String(error)
    if (asked === 0 && (isBusy || isDenied)) {
      this.#logger.debug(
        { port, endpoint: endpoint.name, why },
        'public port is taken, trying the next',
      )
    } else this.#logger.warn({ port, endpoint: endpoint.name, why }, 'public port cannot be opened')
    if (isBusy) return PORT_REJECTIONS.ofProgram(port)
    return isDenied ? PORT_REJECTIONS.notAllowed(port) : PORT_REJECTIONS.unavailable(port)
  }

  #free(port: PublicPort): void {
    port.close()
    port.claim?.release()
    port.claim = undefined
    if (this.#byNumber.get(port.number) === port) this.#byNumber.delete(port.number)
    const owner = ownerKey(port.owner)
    if (this.#byOwner.get(owner) !== port) return
    this.#byOwner.delete(owner)
    this.#onChange('lost', port)
    this.#logger.info(
      { port: port.number, endpoint: port.owner.endpoint.name },
      'public port freed',
    )
  }

  #stop(): void {
    this.#stopping = true
    clearTimeout(this.#ownersMayCome)
    for (const port of this.#byNumber.values()) this.#free(port)
  }
}

function isOfIdentity(owner: PortOwner, tenant: string, identity: string): boolean {
  return owner.endpoint.tenant === tenant && owner.identity === identity
}

/** Which port an owner had last, so that `any` is the same one again. */
export class PortHistory {
  readonly #max: number
  readonly #ports = new Map<string, number>()

  /** @param max - owners to remember. */
  constructor(max: number = MAX_REMEMBERED_PORTS) {
    this.#max = max
  }

  keep(owner: string, port: number): void {
    this.#ports.delete(owner) // to the end of the row
    this.#ports.set(owner, port)
    if (this.#ports.size <= this.#max) return
    const [oldest] = this.#ports.keys()
    if (oldest !== undefined) this.#ports.delete(oldest)
  }

  /** The port an owner had last. */
  find(owner: string): number | undefined {
    return this.#ports.get(owner)
  }
}
