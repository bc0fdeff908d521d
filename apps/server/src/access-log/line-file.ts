import { constants, write } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/** How a file of lines is written. */
export interface LineFileOptions {
  /** The file, which is created where it is missing; undefined: standard output. */
  readonly path: string | undefined
  /** Called when lines could not be written, or the file not be opened again. */
  readonly onProblem: (error: unknown) => void
  /** Characters that may wait for a slow disk; lines beyond are dropped and counted. Default 8 Mi. */
  readonly maxQueuedChars?: number
}

const MAX_QUEUED_CHARS = 8 * 1024 * 1024

/** Characters that are written at once. */
const BATCH_CHARS = 256 * 1024

/** Between two attempts to write to a pipe whose reader is slow, ms. */
const FULL_PIPE_MS = 20

/** A named pipe without a reader is an error (ENXIO): to open one would otherwise wait for it, and so would each write. */
const APPENDING =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0)

const STDOUT_FD = 1

const LINE_END = 0x0a

/** Where the bytes go. */
interface Target {
  /** Writes the bytes from `at` on. @returns how many it took. */
  write(bytes: Buffer, at: number): Promise<number>
  close(): Promise<void>
}

/**
 * A file that lines are appended to, without waiting for the disk: what comes while a write is going on waits in a
 * bounded queue. Lines of several processes do not mix, as the file is opened for appending.
 */
export class LineFile {
  /** Lines that are written. */
  written = 0
  /** Lines that are not, because too many waited or a write failed. */
  dropped = 0
  readonly #options: LineFileOptions
  readonly #maxQueuedChars: number
  #target: Target
  #queue: string[] = []
  /** Of those that wait and those that are being written. */
  #queuedChars = 0
  #working: Promise<void> | undefined
  #isReopening = false
  /** Aborted when nothing is waited for any more. */
  readonly #stop = new AbortController()
  /** The last write failed within a line: the next one must not go on with it. */
  #isTorn = false

  private constructor(target: Target, options: LineFileOptions) {
    this.#target = target
    this.#options = options
    this.#maxQueuedChars = options.maxQueuedChars ?? MAX_QUEUED_CHARS
  }

  /**
   * Opens the file.
   *
   * @throws the error of the system when it cannot be opened.
   */
  static async open(options: LineFileOptions): Promise<LineFile> {
    return new LineFile(await openTarget(options.path), options)
  }

  /** Appends a line, with its end; false: it is dropped. */
  write(line: string): boolean {
    if (this.#queuedChars + line.length > this.#maxQueuedChars) {
      this.dropped += 1
      return false
    }
    this.#queue.push(line)
    this.#queuedChars += line.length
    this.#working ??= this.#work()
    return true
  }

  /** Opens the file again, after it was renamed. Lines that wait go to the new one. */
  reopen(): void {
    this.#isReopening = true
    this.#working ??= this.#work()
  }

  /**
   * Writes what waits, and closes the file.
   *
   * @param signal - ends the wait for the disk; what is not written then is lost.
   */
  async close(signal: AbortSignal): Promise<void> {
    while (this.#working !== undefined && !signal.aborted) {
      await Promise.race([
        this.#working,
        new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve(), { once: true })
        }),
      ])
    }
    this.#stop.abort()
    const closed = (this.#working ?? Promise.resolve()).then(() => this.#target.close())
    if (this.#working === undefined) await closed
    // Not waited for: a disk that does not answer. What a pipe does not take at once is dropped.
    else closed.catch(this.#options.onProblem)
  }

  async #work(): Promise<void> {
    // The lines of one turn of the event loop are written together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0 || this.#isReopening) {
      if (this.#isReopening) await this.#reopen()
      else await this.#writeBatch()
    }
    this.#working = undefined
  }

  async #writeBatch(): Promise<void> {
    let chars = 0
    let lines = 0
    while (lines < this.#queue.length && chars < BATCH_CHARS) {
      chars += this.#queue[lines]?.length ?? 0
      lines += 1
    }
    const batch = lines === this.#queue.length ? this.#queue : this.#queue.slice(0, lines)
    this.#queue = batch === this.#queue ? [] : this.#queue.slice(lines)
    const text = batch.join('')
    const bytes = Buffer.from(this.#isTorn ? `\n${text}` : text)
    const left = await this.#writeAll(bytes)
    // Those whose end is not written; of the end of a torn line there is one more.
    const dropped = left === undefined ? 0 : Math.min(lines, linesIn(left))
    this.dropped += dropped
    this.written += lines - dropped
    if (left === undefined) this.#isTorn = false
    else if (left.length < bytes.length) this.#isTorn = bytes.at(-left.length - 1) !== LINE_END
    this.#queuedChars -= chars
  }

  /** @returns what is not written; undefined: nothing. */
  async #writeAll(bytes: Buffer): Promise<Buffer | undefined> {
    let at = 0
    while (at < bytes.length) {
      try {
        at += await this.#target.write(bytes, at)
      } catch (error) {
        if (!isFull(error)) this.#options.onProblem(error)
        if (!isFull(error) || !(await this.#mayTryAgain())) return bytes.subarray(at)
      }
    }
    return undefined
  }

  async #mayTryAgain(): Promise<boolean> {
    const { signal } = this.#stop
    await delay(FULL_PIPE_MS, undefined, { signal }).catch(() => {})
    return !signal.aborted
  }

  async #reopen(): Promise<void> {
    this.#isReopening = false
    try {
      const target = await openTarget(this.#options.path)
      const old = this.#target
      this.#target = target
      this.#isTorn = false
      await old.close()
    } catch (error) {
      this.#options.onProblem(error)
    }
  }
}

async function openTarget(path: string | undefined): Promise<Target> {
  // Not through the stream of the process, which waits for a slow reader in the middle of a request.
  if (path === undefined) return { write: writeStdout, close: async () => {} }
  const file = await open(path, APPENDING, 0o640)
  return {
    write: async (bytes, at) => (await file.write(bytes, at)).bytesWritten,
    close: async () => await file.close(),
  }
}

function writeStdout(bytes: Buffer, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(STDOUT_FD, bytes, at, (error, bytesWritten) => {
      if (error === null) resolve(bytesWritten)
      else reject(error)
    })
  })
}

function linesIn(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(LINE_END); at >= 0; at = bytes.indexOf(LINE_END, at + 1)) lines += 1
  return lines
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN'
}
