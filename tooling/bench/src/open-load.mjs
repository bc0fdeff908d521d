// @ts-check
// The load of a crowd that does not wait for answers: requests begin at a fixed rate, however long the
// ones before take, from many addresses. A visitor whose answer does not come gives up and closes its
// connection; those that come back are part of the rate. Run as a process of its own:
// `node open-load.mjs '<JSON of OpenLoad>'`, prints JSON.
import { connect } from 'node:net'

/**
 * @typedef {object} OpenLoad
 * @property {number} port
 * @property {string} host - Host field to send
 * @property {number} perSecond - requests that begin
 * @property {number} durationMs
 * @property {number} warmUpMs - requests that begin in this time are not counted
 * @property {number} timeoutMs - how long a visitor waits for an answer
 * @property {number} connections - opened beforehand and kept alive; a request for which none is free opens one
 * @property {number} maxConnections - a request for which none is free, nor may be opened, is not sent
 * @property {number} sources - addresses that the connections come from, in turn
 */

/**
 * @typedef {object} Tally
 * @property {number} sent
 * @property {number} ok - answered 200
 * @property {number} shed - answered 503
 * @property {number} other - other statuses
 * @property {number} timedOut
 * @property {number} broken - connections that ended without an answer
 * @property {number} unsent - there was no connection for them
 * @property {number} opened - connections opened during the load
 * @property {number} seconds
 * @property {Percentiles} okMs - time to an answer 200
 * @property {Percentiles} shedMs - time to an answer 503 on a connection that was open
 * @property {Percentiles} newShedMs - the same on a new connection
 * @property {Percentiles} lateMs - how late this process was itself
 */

/** @typedef {{ p50: number, p95: number, p99: number }} Percentiles */

const TICK_MS = 2
const MAX_LATE_MS = 20
const READ_BYTES = 64 * 1024
const BODY_BYTES = 1024
const OPENED_AT_ONCE = 64
const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * Sends requests at the rate, and waits for the last answers.
 *
 * @param {OpenLoad} load
 * @returns {Promise<Tally>}
 */
export async function openLoad(load) {
  const { port, host, perSecond, durationMs, warmUpMs, timeoutMs } = load
  const request = Buffer.from(`GET /${BODY_BYTES} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const count = { sent: 0, ok: 0, shed: 0, other: 0, timedOut: 0, broken: 0, unsent: 0, opened: 0 }
  /** @type {Record<'ok' | 'shed' | 'newShed' | 'late', number[]>} */
  const ms = { ok: [], shed: [], newShed: [], late: [] }
  /** @type {Set<Visitor>} in order of their requests */
  const waiting = new Set()
  /** @type {Visitor[]} */
  const idle = []
  // What comes is read into one buffer again and again: this process is to cost as little as it can.
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  let open = 0
  let countedFrom = Infinity

  class Visitor {
    sentAt = 0
    #isNew = true
    #status = 0
    #missing = -1
    #socket = connect({
      port,
      host: '127.0.0.1',
      localAddress: sourceAddress(count.opened++ % load.sources),
      noDelay: true,
      onread: {
        buffer,
        callback: (bytes) => {
          this.#take(bytes)
          return true
        },
      },
    })

    constructor() {
      open += 1
      this.#socket.on('error', () => {})
      this.#socket.on('close', () => {
        open -= 1
        const at = idle.indexOf(this)
        if (at >= 0) idle.splice(at, 1)
        if (waiting.delete(this) && this.sentAt >= countedFrom) count.broken += 1
      })
    }

    async opened() {
      await new Promise((resolve) => this.#socket.once('connect', resolve))
      this.#isNew = false
      idle.push(this)
    }

    /** @param {number} now */
    send(now) {
      this.sentAt = now
      waiting.add(this)
      this.#socket.write(request)
    }

    giveUp() {
      waiting.delete(this)
      if (this.sentAt >= countedFrom) count.timedOut += 1
      this.#socket.destroy()
    }

    destroy() {
      this.#socket.destroy()
    }

    /** @param {number} bytes */
    #take(bytes) {
      let body = bytes
      if (this.#missing < 0) {
        // Heads of small answers come in one piece.
        const end = buffer.indexOf(HEAD_END)
        this.#status = (buffer[9] ?? 0) * 100 + (buffer[10] ?? 0) * 10 + (buffer[11] ?? 0) - 5328
        this.#missing =
          this.#status === 200 ? BODY_BYTES : lengthIn(buffer.toString('latin1', 0, end))
        body -= end + HEAD_END.length
      }
      this.#missing -= body
      if (this.#missing > 0) return
      this.#missing = -1
      if (!waiting.delete(this)) return
      if (this.sentAt >= countedFrom) this.#count()
      this.#isNew = false
      idle.push(this)
    }

    #count() {
      const kind = this.#status === 200 ? 'ok' : this.#status === 503 ? 'shed' : 'other'
      count[kind] += 1
      const tookMs = performance.now() - this.sentAt
      if (kind === 'ok') ms.ok.push(tookMs)
      else if (kind === 'shed') ms[this.#isNew ? 'newShed' : 'shed'].push(tookMs)
    }
  }

  while (open < load.connections) {
    const some = Math.min(OPENED_AT_ONCE, load.connections - open)
    await Promise.all(Array.from({ length: some }, async () => await new Visitor().opened()))
  }
  const begin = performance.now()
  let last = begin
  let owed = 0
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now()
      const sinceMs = now - last
      last = now
      for (const visitor of waiting) {
        if (now - visitor.sentAt < timeoutMs) break
        visitor.giveUp()
      }
      if (countedFrom === Infinity && now - begin >= warmUpMs) {
        countedFrom = now
        count.sent = count.opened = count.unsent = 0
      }
      const isOver = now - countedFrom >= durationMs
      if (isOver && waiting.size === 0) {
        clearInterval(timer)
        resolve(undefined)
      }
      if (isOver) return
      ms.late.push(Math.max(0, sinceMs - TICK_MS))
      // A generator that was late itself leaves out what it missed: a burst would be another load.
      owed = Math.min(owed + (sinceMs / 1000) * perSecond, (MAX_LATE_MS / 1000) * perSecond)
      for (; owed >= 1; owed -= 1) {
        const visitor = idle.pop() ?? (open < load.maxConnections ? new Visitor() : undefined)
        if (visitor === undefined) count.unsent += 1
        else {
          count.sent += 1
          visitor.send(now)
        }
      }
    }, TICK_MS)
  })
  for (const visitor of idle) visitor.destroy()
  return {
    ...count,
    seconds: durationMs / 1000,
    okMs: percentiles(ms.ok),
    shedMs: percentiles(ms.shed),
    newShedMs: percentiles(ms.newShed),
    lateMs: percentiles(ms.late),
  }
}

/** @param {number} index - 0 to 65 535 */
function sourceAddress(index) {
  return `127.1.${index >> 8}.${index & 255}`
}

/** @param {string} head */
function lengthIn(head) {
  return Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0)
}

/**
 * @param {number[]} values
 * @returns {Percentiles}
 */
function percentiles(values) {
  const sorted = Float64Array.from(values).toSorted()
  const at = (/** @type {number} */ q) => sorted[Math.floor(sorted.length * q)] ?? 0
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

if (process.argv[1] === import.meta.filename) {
  const load = JSON.parse(String(process.argv[2]))
  process.stdout.write(`${JSON.stringify(await openLoad(load))}\n`)
  process.exit()
}
