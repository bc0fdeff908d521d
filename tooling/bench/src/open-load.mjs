// @ts-check
// The load of a crowd that does not wait for answers: requests begin at a fixed rate, however long the
// ones before take. Run as a process of its own: `node open-load.mjs '<JSON of OpenLoad>'`, prints JSON.
import { connect } from 'node:net'

/**
 * @typedef {object} OpenLoad
 * @property {number} port
 * @property {string} host - Host field to send
 * @property {number} perSecond - requests that begin
 * @property {number} durationMs
 * @property {number} timeoutMs - how long a visitor waits for an answer
 * @property {number} connections - kept alive, opened beforehand; a request for which none is free waits, and its
 *   time runs. 0: each request has a connection of its own
 */

/**
 * @typedef {object} Tally
 * @property {number} sent
 * @property {number} ok - answered 200
 * @property {number} shed - answered 503
 * @property {number} other - other statuses
 * @property {number} timedOut
 * @property {number} broken - connections that ended without an answer
 * @property {number} seconds
 * @property {[number, number]} okMs - p50 and p99 of the time to an answer 200
 * @property {[number, number]} shedMs - the same to an answer 503
 * @property {number} lateMs - p99 of how late this process was itself
 */

const TICK_MS = 2
const MAX_LATE_MS = 20

/**
 * Sends requests at the rate, and waits for the last answers.
 *
 * @param {OpenLoad} load
 * @returns {Promise<Tally>}
 */
export async function openLoad({ port, host, perSecond, durationMs, timeoutMs, connections }) {
  const keepAlive = connections > 0
  const close = keepAlive ? '' : 'Connection: close\r\n'
  const request = Buffer.from(`GET /1024 HTTP/1.1\r\nHost: ${host}\r\n${close}\r\n`)
  const count = { sent: 0, ok: 0, shed: 0, other: 0, timedOut: 0, broken: 0 }
  /** @type {Record<'ok' | 'shed' | 'late', number[]>} */
  const ms = { ok: [], shed: [], late: [] }
  /** @type {Set<Visitor>} in order of their requests */
  const waiting = new Set()
  /** @type {Visitor[]} */
  const idle = []
  /** When requests were due for which no connection is free. */
  /** @type {number[]} */
  const due = []

  class Visitor {
    sentAt = performance.now()
    #status = 0
    #missing = -1
    #socket = connect({ port, host: '127.0.0.1', noDelay: true })

    constructor() {
      this.#socket.on('data', (chunk) => this.#take(chunk))
      this.#socket.on('error', () => {})
      this.#socket.on('close', () => {
        const at = idle.indexOf(this)
        if (at >= 0) idle.splice(at, 1)
        if (waiting.delete(this)) count.broken += 1
        if (keepAlive && !isOver) connectOne()
      })
      if (!keepAlive) this.send(performance.now())
      else this.#socket.once('connect', () => this.#free())
    }

    #free() {
      const at = due.shift()
      if (at === undefined) idle.push(this)
      else this.send(at)
    }

    /** @param {number} dueAt */
    send(dueAt) {
      this.sentAt = dueAt
      waiting.add(this)
      this.#socket.write(request)
    }

    giveUp() {
      waiting.delete(this)
      count.timedOut += 1
      this.#socket.destroy()
    }

    /** @param {Buffer} chunk */
    #take(chunk) {
      let bytes = chunk.length
      if (this.#missing < 0) {
        // Heads of small answers come in one piece.
        const end = chunk.indexOf('\r\n\r\n')
        const head = chunk.toString('latin1', 0, end)
        this.#status = Number(head.slice(9, 12))
        this.#missing = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0)
        bytes -= end + 4
      }
      this.#missing -= bytes
      if (this.#missing > 0) return
      this.#missing = -1
      if (!waiting.delete(this)) return
      const kind = this.#status === 200 ? 'ok' : this.#status === 503 ? 'shed' : 'other'
      count[kind] += 1
      if (kind !== 'other') ms[kind].push(performance.now() - this.sentAt)
      if (keepAlive) this.#free()
      else this.#socket.destroy()
    }
  }

  const connectOne = () => new Visitor()
  let isOver = false
  for (let at = 0; at < connections; at++) connectOne()
  while (idle.length < connections) await new Promise((resolve) => setTimeout(resolve, 10))
  const begin = performance.now()
  let last = begin
  let owed = 0
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now()
      const sinceMs = now - last
      ms.late.push(Math.max(0, sinceMs - TICK_MS))
      last = now
      for (const visitor of waiting) {
        if (now - visitor.sentAt >= timeoutMs) visitor.giveUp()
      }
      while (now - (due[0] ?? now) >= timeoutMs) {
        due.shift()
        count.timedOut += 1
      }
      isOver = now - begin >= durationMs
      if (isOver && waiting.size + due.length === 0) {
        clearInterval(timer)
        resolve(undefined)
      }
      if (isOver) return
      // A generator that was late itself leaves out what it missed: a burst would be another load.
      owed = Math.min(owed + (sinceMs / 1000) * perSecond, (MAX_LATE_MS / 1000) * perSecond)
      for (; owed >= 1; owed -= 1) {
        count.sent += 1
        const visitor = idle.pop()
        if (visitor !== undefined) visitor.send(now)
        else if (keepAlive) due.push(now)
        else connectOne()
      }
    }, TICK_MS)
  })
  return {
    ...count,
    seconds: durationMs / 1000,
    okMs: p50p99(ms.ok),
    shedMs: p50p99(ms.shed),
    lateMs: p50p99(ms.late)[1],
  }
}

/**
 * @param {number[]} values
 * @returns {[number, number]}
 */
function p50p99(values) {
  const sorted = Float64Array.from(values).toSorted()
  const at = (/** @type {number} */ q) => sorted[Math.floor(sorted.length * q)] ?? 0
  return [at(0.5), at(0.99)]
}

if (process.argv[1] === import.meta.filename) {
  const load = JSON.parse(String(process.argv[2]))
  process.stdout.write(`${JSON.stringify(await openLoad(load))}\n`)
  process.exit()
}
