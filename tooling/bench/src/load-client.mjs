// @ts-check
// The load: raw sockets and as little parsing as possible, so that the client is never the slowest
// part. Answers are framed by content-length; anything but 200 ends the run, if it is not asked to be counted.
import { connect } from 'node:net'
import { once } from 'node:events'
import { connect as secure } from 'node:tls'

/**
 * @typedef {{ port: number, host: string, address?: string, isTls?: boolean }} Target - where to connect (127.0.0.1
 *   without an address), the Host field to send, and whether it is by TLS
 */

const HEAD_END = Buffer.from('\r\n\r\n')
const CHUNK = Buffer.alloc(64 * 1024, 'adit')
const READ_BYTES = 128 * 1024

/**
 * Keeps `connections` keep-alive connections busy, one request at a time on each, for `durationMs`.
 *
 * @param {Target & { connections: number, durationMs: number, path: string, takesErrors?: boolean }} options -
 *   `takesErrors`: answers other than 200 are counted
 * @returns {Promise<{ requests: number, perSecond: number, p50Ms: number, p99Ms: number, errors: number }>}
 */
export async function requests({
  port,
  host,
  address,
  connections,
  durationMs,
  path,
  takesErrors = false,
}) {
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  /** @type {number[]} */
  const latencies = []
  let errors = 0
  const started = performance.now()
  const deadline = started + durationMs
  const workers = Array.from({ length: connections }, async () => {
    const { socket, onChunk } = await open(port, address)
    try {
      await new Promise((resolve, reject) => {
        let sent = performance.now()
        const read = answers((_, isError) => {
          const now = performance.now()
          latencies.push(now - sent)
          if (isError) errors += 1
          if (now >= deadline) return resolve(undefined)
          sent = now
          socket.write(request)
        }, takesErrors)
        onChunk((chunk) => attempt(() => read(chunk), reject))
        socket.once('error', reject)
        socket.once('close', () => reject(new Error('connection closed during the run')))
        socket.write(request)
      })
    } finally {
      socket.destroy()
    }
  })
  await Promise.all(workers)
  return { ...ratesOf(latencies, started), errors }
}

/**
 * Keeps `connections` visitors busy that open a connection for each request: a request of HTTP that ends it, or a
 * line of the raw service (services.mjs).
 *
 * @param {Target & { connections: number, durationMs: number, path: string, bytes: number, isRaw?: boolean }} options -
 *   `bytes`: of a body; `isRaw`: it is a plain connection
 * @returns {Promise<{ perSecond: number, requests: number, p50Ms: number, p99Ms: number }>}
 */
export async function connects({
  port,
  host,
  connections,
  durationMs,
  path,
  bytes,
  isRaw = false,
}) {
  const line = isRaw
    ? `D${bytes}\n`
    : `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  const request = Buffer.from(line)
  /** @type {number[]} */
  const latencies = []
  const started = performance.now()
  const deadline = started + durationMs
  const visitors = Array.from({ length: connections }, async () => {
    // Read into one buffer again and again, see open().
    const buffer = Buffer.alloc(READ_BYTES)
    while (performance.now() < deadline) {
      const begun = performance.now()
      let received = 0
      await new Promise((resolve, reject) => {
        const socket = connect({
          host: '127.0.0.1',
          port,
          noDelay: true,
          onread: { buffer, callback: (count) => (received += count) > 0 },
        })
        socket.once('connect', () => socket.write(request))
        socket.once('error', reject)
        socket.once('close', resolve)
      })
      if (received < bytes) throw new Error(`received ${received} bytes, not ${bytes}`)
      latencies.push(performance.now() - begun)
    }
  })
  await Promise.all(visitors)
  return ratesOf(latencies, started)
}

/**
 * Downloads one body.
 *
 * @param {Target & { path: string, bytes: number }} options
 * @returns {Promise<{ bytesPerSecond: number }>}
 */
export async function download({ port, host, path, bytes, isTls }) {
  const { socket, onChunk } = await open(port, undefined, isTls)
  const started = performance.now()
  await new Promise((resolve, reject) => {
    const read = answers((length) =>
      length === bytes ? resolve(undefined) : reject(new Error(`${length} bytes, not ${bytes}`)),
    )
    onChunk((chunk) => attempt(() => read(chunk), reject))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('connection closed during the download')))
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  })
  const elapsed = performance.now() - started
  socket.destroy()
  return { bytesPerSecond: (bytes / elapsed) * 1000 }
}

/**
 * Downloads one body after the other on one connection, for as long as it says.
 *
 * @param {Target & { path: string, durationMs: number }} options
 * @returns {Promise<{ bytesPerSecond: number }>} the mean since the first request was sent
 */
export async function stream({ port, host, address, path, durationMs }) {
  const { socket, onChunk } = await open(port, address)
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  let received = 0
  const started = performance.now()
  await new Promise((resolve, reject) => {
    const read = answers(() => socket.write(request))
    onChunk((chunk) => {
      received += chunk.length
      attempt(() => read(chunk), reject)
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('connection closed during the stream')))
    socket.write(request)
    setTimeout(resolve, durationMs)
  })
  const elapsed = performance.now() - started
  socket.destroy()
  return { bytesPerSecond: (received / elapsed) * 1000 }
}

/**
 * Uploads one body; the time ends with the answer, which the service sends after the last byte.
 *
 * @param {Target & { path: string, bytes: number }} options
 * @returns {Promise<{ bytesPerSecond: number }>}
 */
export async function upload({ port, host, path, bytes, isTls }) {
  const { socket, onChunk } = await open(port, undefined, isTls)
  const started = performance.now()
  const answered = new Promise((resolve, reject) => {
    const read = answers(resolve)
    onChunk((chunk) => attempt(() => read(chunk), reject))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('connection closed during the upload')))
  })
  socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${bytes}\r\n\r\n`)
  await Promise.all([send(socket, bytes), answered])
  const elapsed = performance.now() - started
  socket.destroy()
  return { bytesPerSecond: (bytes / elapsed) * 1000 }
}

/**
 * Moves bytes over a plain connection to the raw service: `D` asks for them, `U` brings them.
 *
 * @param {{ port: number, direction: 'D' | 'U', bytes: number }} options
 * @returns {Promise<{ bytesPerSecond: number }>}
 */
export async function raw({ port, direction, bytes }) {
  const { socket, onChunk } = await open(port)
  const started = performance.now()
  let received = 0
  onChunk((chunk) => (received += chunk.length))
  const ended = once(socket, 'end')
  socket.write(`${direction}${bytes}\n`)
  if (direction === 'U') await send(socket, bytes)
  await ended
  const elapsed = performance.now() - started
  socket.destroy()
  const expected = direction === 'D' ? bytes : 1
  if (received !== expected) throw new Error(`received ${received} bytes, not ${expected}`)
  return { bytesPerSecond: (bytes / elapsed) * 1000 }
}

/**
 * Returns a reader that calls `onAnswer` with the body length of each complete answer.
 *
 * @param {(bodyBytes: number, isError: boolean) => void} onAnswer
 * @param {boolean} takesErrors - whether statuses other than 200 are answers
 * @returns {(chunk: Buffer) => void}
 */
function answers(onAnswer, takesErrors = false) {
  /** @type {Buffer} */
  let head = Buffer.alloc(0)
  let length = -1
  let missing = 0
  let isError = false
  return (chunk) => {
    let rest = chunk
    if (length < 0) {
      head = Buffer.concat([head, chunk])
      const end = head.indexOf(HEAD_END)
      if (end < 0) return
      const text = head.toString('latin1', 0, end)
      isError = takesErrors && !text.startsWith('HTTP/1.1 200 ')
      length = missing = bodyLength(text, isError)
      rest = head.subarray(end + HEAD_END.length)
      head = Buffer.alloc(0)
    }
    missing -= rest.length
    if (missing < 0) throw new Error('more bytes than the answer has')
    if (missing > 0) return
    const complete = length
    length = -1
    onAnswer(complete, isError)
  }
}

/**
 * @param {string} head
 * @param {boolean} isError - whether its status may be any
 */
function bodyLength(head, isError) {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if ((!isError && !head.startsWith('HTTP/1.1 200 ')) || length === undefined) {
    throw new Error(`answer: ${head}`)
  }
  return Number(length)
}

/**
 * Connects. What comes is read into one buffer again and again, so that the client costs the machine
 * as little as it can: what it uses of the two cores is missing in the middle.
 *
 * @param {number} port
 * @param {string} [address]
 * @param {boolean} [isTls]
 * @returns {Promise<{ socket: import('node:net').Socket, onChunk: (take: (chunk: Buffer) => void) => void }>}
 *   `onChunk` sets who gets each chunk, which is only valid during the call.
 */
async function open(port, address = '127.0.0.1', isTls = false) {
  /** @type {(chunk: Buffer) => void} */
  let take = () => {}
  if (isTls) {
    // The certificate is one of this run.
    const secured = secure({ host: address, port, rejectUnauthorized: false })
    secured.on('data', (chunk) => take(chunk))
    await once(secured, 'secureConnect')
    return { socket: secured, onChunk: (next) => (take = next) }
  }
  const socket = connect({
    host: address,
    port,
    noDelay: true,
    onread: {
      buffer: Buffer.alloc(READ_BYTES),
      callback: (bytes, buffer) => {
        take(/** @type {Buffer} */ (buffer).subarray(0, bytes))
        return true
      },
    },
  })
  await once(socket, 'connect')
  return { socket, onChunk: (next) => (take = next) }
}

/**
 * @param {import('node:net').Socket} socket
 * @param {number} bytes
 */
async function send(socket, bytes) {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    const more = socket.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK)
    if (!more) await once(socket, 'drain')
  }
}

/**
 * @param {() => void} act
 * @param {(error: unknown) => void} reject
 */
function attempt(act, reject) {
  try {
    act()
  } catch (error) {
    reject(error)
  }
}

/**
 * @param {readonly number[]} latencies - of every request, ms
 * @param {number} started - when the first one was sent, `performance.now()`
 */
function ratesOf(latencies, started) {
  const seconds = (performance.now() - started) / 1000
  const sorted = Float64Array.from(latencies).toSorted()
  return {
    requests: sorted.length,
    perSecond: sorted.length / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
  }
}

/**
 * @param {Float64Array} sorted
 * @param {number} q
 */
function quantile(sorted, q) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}
