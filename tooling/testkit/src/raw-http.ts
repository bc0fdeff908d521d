// HTTP/1.1 by hand: exactly these bytes out, exactly the bytes that came back. A client library
// would refuse to send most of what the edge must survive, and would hide how a transfer ended.
import { readSync } from 'node:fs'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { OutOfTimeError } from './out-of-time.ts'
import { untilEvent } from './until.ts'
import { WAIT_MS } from './wait-limit.ts'

/** One answer as it was on the wire. */
export interface RawResponse {
  /** Status code. */
  readonly status: number
  /** First line, without the line end. */
  readonly statusLine: string
  /** Fields by lower-case name; several of one name joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** The head as it came, with the empty line. */
  readonly head: string
  /** Body, without chunked framing. */
  readonly body: Buffer
  /** Trailer section of a chunked body as it came, without the last empty line. */
  readonly trailers: string
}

/** How the peer ended its direction. */
export type RawEnding = 'fin' | 'reset'

const MAX_HEAD_BYTES = 64 * 1024

/** A connection on which a test writes and reads bytes. */
export class RawHttp {
  /** The socket, for what is not here. */
  readonly socket: Socket
  /** Resolves when the peer has ended its direction. Never rejects. */
  readonly ended: Promise<RawEnding>
  readonly #timeoutMs: number
  #received = Buffer.alloc(0)
  #ending: RawEnding | undefined
  #wake: () => void = () => {}

  /** Takes a connected socket over. `timeoutMs` bounds each read, default `WAIT_MS`. */
  constructor(socket: Socket, timeoutMs: number = WAIT_MS) {
    this.socket = socket
    this.#timeoutMs = timeoutMs
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    this.ended = new Promise((resolve) => {
      const end = (ending: RawEnding) => {
        this.#ending ??= ending
        this.#wake()
        resolve(this.#ending)
      }
      socket.once('end', () => end(endedByReset(socket) ? 'reset' : 'fin'))
      socket.once('error', () => end('reset'))
      socket.once('close', () => end('reset'))
    })
  }

  /** Writes bytes as they are; a string is latin1. Resolves when the kernel has them. */
  async send(bytes: string | Uint8Array): Promise<void> {
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    await new Promise<void>((resolve, reject) => {
      this.socket.write(chunk, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Ends our direction with FIN. */
  end(): void {
    this.socket.end()
  }

  /** Ends the connection with RST. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** Reads exactly `bytes` bytes. */
  async read(bytes: number): Promise<Buffer> {
    await this.#until(`${bytes} bytes`, () => this.#received.length >= bytes)
    return this.#take(bytes)
  }

  /** Reads up to and including `delimiter`. */
  async readTo(delimiter: string): Promise<string> {
    const at = () => this.#received.indexOf(delimiter, 0, 'latin1')
    await this.#until(JSON.stringify(delimiter), () => {
      if (at() < 0 && this.#received.length > MAX_HEAD_BYTES) throw new Error('no end of the head')
      return at() >= 0
    })
    return this.#take(at() + delimiter.length).toString('latin1')
  }

  /** Reads everything until the peer ends its direction. */
  async readToEnd(): Promise<Buffer> {
    await this.#until('the end', () => this.#ending !== undefined)
    return this.#take(this.#received.length)
  }

  /** Reads one answer. `method` is that of the request: the answer to HEAD has no body. */
  async readResponse(method = 'GET'): Promise<RawResponse> {
    const head = await this.readTo('\r\n\r\n')
    const [statusLine = '', ...lines] = head.trimEnd().split('\r\n')
    const status = Number(statusLine.split(' ')[1])
    const headers = fieldsOf(lines)
    const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304
    if (bodiless) {
      return { status, statusLine, headers, head, body: Buffer.alloc(0), trailers: '' }
    }
    if (headers['transfer-encoding']?.endsWith('chunked')) {
      return { status, statusLine, headers, head, ...(await this.#readChunked()) }
    }
    const length = headers['content-length']
    const body = length === undefined ? await this.readToEnd() : await this.read(Number(length))
    return { status, statusLine, headers, head, body, trailers: '' }
  }

  /** Destroys the connection. */
  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  async #readChunked(): Promise<{ body: Buffer; trailers: string }> {
    const chunks: Buffer[] = []
    for (;;) {
      const size = Number.parseInt(await this.readTo('\r\n'), 16)
      if (Number.isNaN(size)) throw new Error('not a chunk size')
      if (size === 0) break
      chunks.push(await this.read(size))
      await this.read(2)
    }
    let trailers = ''
    for (;;) {
      const line = await this.readTo('\r\n')
      if (line === '\r\n') return { body: Buffer.concat(chunks), trailers }
      trailers += line
    }
  }

  #take(bytes: number): Buffer {
    const taken = this.#received.subarray(0, bytes)
    this.#received = this.#received.subarray(bytes)
    return taken
  }

  async #until(what: string, ready: () => boolean): Promise<void> {
    const deadline = performance.now() + this.#timeoutMs
    while (!ready()) {
      const received = `after ${this.#received.length} bytes`
      if (this.#ending) throw new Error(`${this.#ending} ${received}, wanted ${what}`)
      const left = deadline - performance.now()
      if (left <= 0) {
        const message = `nothing for ${this.#timeoutMs} ms ${received}, wanted ${what}`
        throw new OutOfTimeError(message, this.#timeoutMs)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}

/**
 * To be asked within 'end', which Node up to 20 emits for a reset that comes together with the last bytes
 * too. One more read of the descriptor tells: it fails.
 */
export function endedByReset(socket: Socket): boolean {
  const handle: unknown = Reflect.get(socket, '_handle')
  const descriptor: unknown = handle instanceof Object ? Reflect.get(handle, 'fd') : undefined
  if (typeof descriptor !== 'number' || descriptor < 0) return false
  try {
    readSync(descriptor, Buffer.alloc(1), 0, 1, null)
    return false
  } catch {
    return true
  }
}

/** Connects, both directions kept open until each side ends its own. */
export async function connectRaw(
  to: NetConnectOpts | number,
  timeoutMs: number = WAIT_MS,
): Promise<RawHttp> {
  const options: NetConnectOpts = typeof to === 'number' ? { host: '127.0.0.1', port: to } : to
  const socket = connect({ ...options, allowHalfOpen: true, noDelay: true } as NetConnectOpts)
  const raw = new RawHttp(socket, timeoutMs)
  try {
    await untilEvent(socket, 'connect', { timeoutMs })
  } catch (error) {
    // It was open, and is reset before this process has heard of that: `ended` says so.
    if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'ECONNRESET') throw error
  }
  return raw
}

/** Sends bytes on a connection of their own and returns the one answer to them. */
export async function exchangeRaw(
  to: NetConnectOpts | number,
  bytes: string | Uint8Array,
  method?: string,
): Promise<RawResponse> {
  using connection = await connectRaw(to)
  await connection.send(bytes)
  return await connection.readResponse(method)
}

function fieldsOf(lines: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    fields[name] = Object.hasOwn(fields, name) ? `${fields[name]}, ${value}` : value
  }
  return fields
}
