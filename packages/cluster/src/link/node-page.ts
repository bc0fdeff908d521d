import { type Channel, type ChannelSink, MuxError } from '@proj/mux'

import { parsePeerObject } from './peer-json.ts'

/** A page of a node's admin port, as another node gets it. */
export interface NodePage {
  /** HTTP status. */
  readonly status: number
  /** Media type of the body; undefined: there is no body. */
  readonly type: string | undefined
  readonly body: string
}

/** Reads a page of this node for another one. */
export type ReadNodePage = (path: string) => Promise<NodePage>

/** Longest page, with what says its status, bytes. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024

/** Longest path of a page, bytes; all of them are far shorter. */
const MAX_PAGE_PATH_BYTES = 1_024

/** Pages that are read at once for one link; one more is refused. */
const MAX_PAGES_READ = 16

/** Answers the questions of another node for pages of this one. */
export class PagesOfLink {
  readonly #read: ReadNodePage | undefined
  #reading = 0

  /** @param read - undefined: there are no pages for it. */
  constructor(read: ReadNodePage | undefined) {
    this.#read = read
  }

  /**
   * Answers on a stream, with the page as JSON.
   *
   * @returns the sink that was attached; undefined when the stream was reset.
   */
  answer(channel: Channel, path: string): ChannelSink | undefined {
    const isLong = Buffer.byteLength(path) > MAX_PAGE_PATH_BYTES
    if (this.#read === undefined || isLong || this.#reading >= MAX_PAGES_READ) {
      channel.reset()
      return undefined
    }
    let isClosed = false
    const sink: ChannelSink = {
      onData: (chunk) => {
        channel.consume(chunk.length)
        return undefined
      },
      onEnd() {},
      onDrain() {},
      onClose: () => (isClosed = true),
    }
    channel.attach(sink)
    this.#reading += 1
    void this.#bytesOf(path, this.#read).then((bytes) => {
      this.#reading -= 1
      if (isClosed) return
      if (bytes === undefined || bytes.length > MAX_PAGE_BYTES) {
        channel.reset()
        return
      }
      channel.write(bytes)
      channel.end()
    })
    return sink
  }

  async #bytesOf(path: string, read: ReadNodePage): Promise<Buffer | undefined> {
    try {
      return Buffer.from(JSON.stringify(await read(path)))
    } catch {
      return undefined // the one who asks tells its own reader
    }
  }
}

/** Reads the answer to a question for a page, which ends with the stream. */
export class NodePageReader implements ChannelSink {
  readonly #chunks: Buffer[] = []
  readonly #settle: (page: NodePage | Error) => void
  #channel: Channel | undefined
  #bytes = 0

  /** @param settle - called once: with the page, or with why there is none. */
  constructor(settle: (page: NodePage | Error) => void) {
    this.#settle = settle
  }

  /** Sets the stream that is read. */
  read(channel: Channel): void {
    this.#channel = channel
  }

  /** @inheritdoc */
  onData(chunk: Buffer): undefined {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_PAGE_BYTES) {
      this.#chunks.length = 0
      this.#settle(new Error(`its page is longer than ${MAX_PAGE_BYTES} bytes`))
      this.#channel?.reset()
      return
    }
    this.#chunks.push(chunk)
    this.#channel?.consume(chunk.length)
  }

  /** @inheritdoc */
  onEnd(): void {
    const page = parsePage(Buffer.concat(this.#chunks).toString('utf8'))
    this.#settle(page ?? new Error('its page is out of form'))
  }

  /** @inheritdoc */
  onDrain(): void {}

  /** @inheritdoc */
  onClose(error?: MuxError): void {
    this.#settle(error ?? new MuxError('MUX_SESSION_CLOSED', 'it did not answer'))
  }
}

function parsePage(text: string): NodePage | undefined {
  const { status, type, body } = parsePeerObject(text) ?? {}
  if (typeof status !== 'number' || typeof body !== 'string') return undefined
  if (type !== undefined && typeof type !== 'string') return undefined
  return { status, type, body }
}
