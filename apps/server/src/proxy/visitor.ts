import type { Socket } from 'node:net'

import { type RequestHead, RequestHeadReader, type VisitorConnection } from '@proj/http1'
import type { ChunkAnswer } from '@proj/mux'
import { GatheredWrites, readLent, resetSocket } from '@proj/tunnel/io'

import type { CarrierStream } from './carrier-stream.ts'
import type { Expiring } from './deadlines.ts'
import { answerBytes, answerToFault, EDGE_ANSWERS, type EdgeAnswer } from './edge-answer.ts'
import { connectRequest } from './connect-handover.ts'
import type { EdgeContext } from './edge-context.ts'
import { Exchange } from './exchange.ts'
import type { ExchangeVisitor } from './exchange-visitor.ts'
import { Intake } from './intake.ts'
import { listen } from './listen.ts'
import { type Refused, type Route, routeRequest } from './route-request.ts'
import { joinUpgraded } from './upgraded.ts'

type Phase = 'idle' | 'head' | 'judged' | 'exchange' | 'lingering' | 'closed'

/**
 * A visitor's connection: requests one after another, each an Exchange. A request that is pipelined
 * behind a running one waits unread, so at most one chunk of it is held.
 */
export class Visitor implements ExchangeVisitor, Expiring {
  deadline: number
  readonly writes: GatheredWrites
  readonly #connection: VisitorConnection
  readonly #edge: EdgeContext
  readonly #socket: Socket
  readonly #reader: RequestHeadReader
  readonly #onGone: (visitor: Visitor) => void
  #phase: Phase = 'idle'
  #exchange: Exchange | undefined
  #request: RequestHead | undefined
  /** When the head of `#request` had been read, `performance.now()`. */
  #beganAt = 0
  /** Status of the answer to `#request`; 0 until it is known. */
  #status = 0
  readonly #intake: Intake
  readonly #stopReading: () => void
  readonly #stopListening: () => void

  /**
   * @param socket - accepted with `allowHalfOpen`; owned by the visitor from now on.
   * @param clientAddress - normalised address of the peer.
   * @param onGone - called once, when the connection is no longer this visitor's.
   */
  constructor(
    edge: EdgeContext,
    socket: Socket,
    clientAddress: string,
    onGone: (visitor: Visitor) => void,
  ) {
    this.#edge = edge
    this.#socket = socket
    this.#onGone = onGone
    this.#intake = new Intake(socket)
    this.writes = new GatheredWrites(socket, () => this.#exchange?.onVisitorDrain())
    this.#reader = new RequestHeadReader({ maxHeadBytes: edge.options.maxHeadBytes })
    this.#connection = { clientAddress, scheme: 'encrypted' in socket ? 'https' : 'http' }
    this.deadline = edge.deadlines.now + edge.options.keepAliveTimeoutMs
    edge.deadlines.add(this)
    this.#stopListening = listen(socket, {
      drain: () => this.#onDrain(),
      end: () => this.#onEnd(),
      error: () => {}, // 'close' follows and says enough
      close: () => this.#onClose(),
    })
    this.#stopReading = readLent(socket, (chunk, isLent) => this.#take(chunk, isLent))
  }

  write(bytes: Buffer): boolean {
    this.#edge.stats.bytesOut += bytes.length
    return this.writes.write(bytes)
  }

  pause(): void {
    this.#intake.pause()
  }

  resume(): void {
    this.#intake.resume()
  }

  expectWithin(ms: number): void {
    this.deadline = this.#edge.deadlines.now + ms
  }

  done(keepAlive: boolean): void {
    this.#endExchange()
    if (!keepAlive || this.#edge.draining) return this.linger()
    // What fails before the next head is read, such as a timeout, is no answer to this request.
    this.#request = undefined
    this.#phase = 'idle'
    this.expectWithin(this.#edge.options.keepAliveTimeoutMs)
    this.#next()
  }

  linger(): void {
    // Closing at once would reset the connection under bytes still in flight, and with it the answer
    // in the visitor's buffers: say the end, then let the visitor find out for a while.
    this.#endExchange()
    this.#phase = 'lingering'
    this.expectWithin(this.#edge.options.lingerTimeoutMs)
    this.#socket.end()
    this.#intake.take()
    this.#intake.resume()
  }

  answered(status: number): void {
    this.#status = status
    this.#edge.stats.countAnswer(this.#request?.method, status)
  }

  fail(answer: EdgeAnswer): void {
    this.answered(answer.status)
    const request = this.#request
    const complete = this.#exchange?.requestComplete ?? request?.framing.kind === 'none'
    const keepAlive = complete && request?.keepAlive === true && !this.#edge.draining
    this.write(answerBytes(answer, request, keepAlive))
    if (keepAlive) this.done(true)
    else this.linger()
  }

  breakOff(reset: boolean): void {
    this.#endExchange()
    if (reset) resetSocket(this.#socket)
    else this.#socket.destroySoon()
  }

  upgrade(stream: CarrierStream, rest: Buffer): void {
    this.#endExchange()
    const held = this.#intake.take()
    this.#release()
    joinUpgraded(this.#edge, stream.channel, this.#socket, rest, held)
  }

  /** Ends the connection if it is idle; called when the server stops. */
  closeIfIdle(): void {
    if (this.#phase === 'idle') this.linger()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  expire(): void {
    if (this.#phase === 'exchange') this.#exchange?.expire()
    else if (this.#phase === 'judged') this.fail(EDGE_ANSWERS.judgeTimeout)
    else if (this.#phase === 'head') this.fail(EDGE_ANSWERS.headTimeout)
    else if (this.#phase === 'idle') this.linger()
    else this.#socket.destroy()
  }

  #take(chunk: Buffer, isLent: boolean): ChunkAnswer {
    const before = this.#exchange
    this.#onData(chunk)
    if (!isLent || this.#intake.held !== undefined || this.#reader.heldBytes > 0) return false
    // What ended with this chunk may have left some of it with its stream, who took over has the rest.
    if ((before ?? this.#exchange) !== this.#exchange || this.#phase === 'closed') return false
    return this.#exchange?.flush() ?? true
  }

  #onData(chunk: Buffer): void {
    this.#edge.stats.bytesIn += chunk.length
    if (!this.#isEnding()) this.#parse(chunk)
  }

  /** Takes what the visitor sent, and refuses it when it proves to be malformed. */
  #parse(chunk: Buffer): void {
    try {
      const rest = this.#exchange === undefined ? chunk : this.#exchange.onRequestBytes(chunk)
      if (rest !== undefined) this.#onRest(rest)
    } catch (error) {
      this.#refuse(error)
    }
  }

  #onRest(bytes: Buffer): void {
    const isBusy = this.#exchange !== undefined || this.#phase === 'judged'
    if (isBusy || this.#socket.writableNeedDrain) {
      this.#intake.hold(bytes)
      return
    }
    if (this.#phase === 'idle') {
      this.#phase = 'head'
      this.expectWithin(this.#edge.options.headTimeoutMs)
    }
    const read = this.#reader.push(bytes)
    if (read === undefined) {
      // Empty lines between requests are no request.
      if (this.#reader.heldBytes === 0) this.#phase = 'idle'
      return
    }
    this.#begin(read.head, read.rest)
  }

  #begin(head: RequestHead, rest: Buffer): void {
    this.#request = head
    this.#beganAt = performance.now()
    this.#edge.stats.requests += 1
    const connect = connectRequest(this.#edge, head, this.#connection, this.#socket)
    if (connect !== undefined) {
      this.#release()
      void this.#edge.connect.handle(connect, this.#socket, rest)
      return
    }
    const route = routeRequest(this.#edge, head, this.#connection)
    if (route instanceof Promise) this.#await(route, head, rest)
    else this.#follow(route, head, rest)
  }

  #await(route: Promise<Route | Refused>, head: RequestHead, rest: Buffer): void {
    this.#phase = 'judged'
    this.expectWithin(this.#edge.options.firstByteTimeoutMs)
    this.#intake.hold(rest)
    void route.then((found) => {
      const isAwaited = this.#phase === 'judged' && this.#request === head
      const held = isAwaited ? this.#intake.take() : undefined
      if (held === undefined) return // gone, or timed out
      this.#intake.resume()
      try {
        this.#follow(found, head, held)
      } catch (error) {
        this.#refuse(error)
      }
    })
  }

  #follow(route: Route | Refused, head: RequestHead, rest: Buffer): void {
    if ('answer' in route) {
      if (rest.length > 0) this.#intake.hold(rest)
      this.fail(route.answer)
      return
    }
    this.#phase = 'exchange'
    const exchange = new Exchange(this.#edge, this, route, head)
    this.#exchange = exchange
    this.#edge.stats.inFlight += 1
    exchange.start()
    // `start` may have failed the request already; what follows its head is then the next one's.
    const left = this.#exchange === exchange ? exchange.onRequestBytes(rest) : rest
    if (left !== undefined && left.length > 0 && !this.#isEnding()) {
      this.#intake.hold(left)
      if (this.#exchange === undefined) this.#next()
    }
  }

  #isEnding(): boolean {
    return this.#phase === 'lingering' || this.#phase === 'closed'
  }

  /** The next request, if the visitor sent it already and has taken the last answer. */
  #next(): void {
    if (this.#intake.held === undefined) return this.#intake.resume()
    // Otherwise #onDrain comes back here.
    if (this.#socket.writableNeedDrain) return
    const held = this.#intake.take()
    // Not from inside the call that ended the last exchange, or a pipeline would be a recursion.
    setImmediate(() => {
      if (this.#phase !== 'idle') return
      if (held !== undefined) this.#parse(held)
      this.#intake.resume()
    })
  }

  /** Answers a request that proved to be malformed. */
  #refuse(error: unknown): void {
    this.#exchange?.abort()
    if (this.#exchange?.started === true) {
      // Part of an answer is out: nothing sensible can follow it.
      this.breakOff(true)
      return
    }
    this.#request = undefined
    this.fail(answerToFault(error))
  }

  #onDrain(): void {
    if (this.#exchange !== undefined) this.#exchange.onVisitorDrain()
    else if (this.#phase === 'idle') this.#next()
  }

  #onEnd(): void {
    // A visitor that hangs up in the middle of an exchange has given it up: the service shall know.
    if (this.#phase === 'exchange' || this.#phase === 'judged') this.#socket.destroy()
    else this.#socket.end()
  }

  #onClose(): void {
    this.#exchange?.abort()
    this.#endExchange()
    this.#release()
  }

  #endExchange(): void {
    this.writes.flush()
    if (this.#exchange !== undefined) this.#edge.stats.inFlight -= 1
    this.#exchange = undefined
    if (this.#status === 0) return
    if (this.#request !== undefined) {
      const ms = performance.now() - this.#beganAt
      this.#edge.stats.countDuration(this.#request.method, this.#status, ms)
    }
    this.#status = 0
  }

  /** The socket is somebody else's, or gone. */
  #release(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#edge.deadlines.delete(this)
    this.#stopReading()
    this.#stopListening()
    this.#onGone(this)
  }
}
