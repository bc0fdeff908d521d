// A real process under test. The end-to-end tests start the programs users start, so what they
// need is always the same: wait for a line, keep the output for the message when it never comes,
// and be certain that nothing survives the test. A process started inside a test is stopped when
// that test ends, whether it passed or not; what is alive after that is killed when the test worker
// exits. Only the started process itself is signalled, by its pid.
import { spawn, type ChildProcess } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { OutOfTimeError } from './out-of-time.ts'
import { WAIT_MS } from './wait-limit.ts'

/** How a process ended. */
export interface ProcessExit {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null
  /** Name of the signal that ended it, else null. */
  readonly signal: NodeJS.Signals | null
}

/** What to start, and the bounds on it. */
export interface SpawnedOptions {
  /** Working directory. Default: that of the test run. */
  readonly cwd?: string
  /** Variables set over (or, when undefined, removed from) the environment of the test run. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Aborted: the process is killed. */
  readonly signal?: AbortSignal
  /** Descriptors of this process that it gets as 3, 4 and so on. Default: none. */
  readonly descriptors?: readonly number[]
  /** Characters kept of each output; the oldest go first. Default 1 Mi. */
  readonly maxOutputChars?: number
}

/** Bounds on one wait. */
export interface LineOptions {
  /** Aborted: the wait rejects with its reason. The process is left alone. */
  readonly signal?: AbortSignal
  /** Longest wait, ms. Default 60000 or `WAIT_MS`, the longer one: the end of the process ends the wait too, so this is for one that hangs. */
  readonly timeoutMs?: number
}

const MAX_OUTPUT_CHARS = 1024 * 1024
const LINE_TIMEOUT_MS = Math.max(60_000, WAIT_MS)
/** For a process that its test has left behind. */
const LEFT_GRACE_MS = 5_000
const TAIL_CHARS = 4_000

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** One started process: its output so far, waits for lines of it, and its end. */
export class Spawned {
  /** Resolves once the process is gone and its output is complete; never rejects. */
  readonly exited: Promise<ProcessExit>
  readonly #child: ChildProcess
  readonly #name: string
  readonly #maxOutputChars: number
  readonly #watchers = new Set<() => void>()
  readonly #partial = { stdout: '', stderr: '' }
  #lines: string[] = []
  #linesChars = 0
  #stdout = ''
  #stderr = ''
  #exit: ProcessExit | undefined
  #startError: Error | undefined

  /** Use `spawned()`, which also ties the process to the running test. */
  constructor(command: string, args: readonly string[], options: SpawnedOptions = {}) {
    this.#name = [command, ...args].join(' ')
    this.#maxOutputChars = options.maxOutputChars ?? MAX_OUTPUT_CHARS
    this.#child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      signal: options.signal,
      killSignal: 'SIGKILL',
      stdio: ['pipe', 'pipe', 'pipe', ...(options.descriptors ?? [])],
    })
    alive.add(this.#child)
    this.#child.stdin?.on('error', () => {}) // it may exit before it has read its input
    this.#listen('stdout')
    this.#listen('stderr')
    this.exited = new Promise((resolve) => {
      const end = (exit: ProcessExit) => {
        alive.delete(this.#child)
        this.#exit = exit
        this.#wake()
        resolve(exit)
      }
      this.#child.on('error', (error) => {
        this.#startError = error
        if (this.#child.pid === undefined) end({ code: null, signal: null })
      })
      this.#child.on('close', (code, signal) => end({ code, signal }))
    })
  }

  /** Process id; -1 when it could not be started. */
  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** What was written to standard output so far (its end, when over the bound). */
  get stdout(): string {
    return this.#stdout
  }

  /** What was written to standard error so far (its end, when over the bound). */
  get stderr(): string {
    return this.#stderr
  }

  /** Waits for the first line of either output that matches, seen or to come, and returns it. */
  async line(
    match: RegExp | ((line: string) => boolean),
    options: LineOptions = {},
  ): Promise<string> {
    const matches = typeof match === 'function' ? match : (line: string) => match.test(line)
    return this.#wait(`a line matching ${String(match)}`, options, () => this.#lines.find(matches))
  }

  /**
   * Waits for the first line that is a JSON object with `"event": <event>` and returns it parsed:
   * the ready line of our programs.
   */
  async event(event: string, options: LineOptions = {}): Promise<Record<string, unknown>> {
    return this.#wait(`the event ${event}`, options, () =>
      this.#lines.map(parsedObject).find((found) => found?.['event'] === event),
    )
  }

  /** Writes to its standard input; `end` closes it after that. */
  write(text: string, end = false): void {
    if (end) this.#child.stdin?.end(text)
    else this.#child.stdin?.write(text)
  }

  /** Sends a signal and returns at once. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal)
  }

  /** Sends SIGTERM, after `graceMs` (default `WAIT_MS`) SIGKILL, and waits for the end. */
  async stop(graceMs: number = WAIT_MS): Promise<ProcessExit> {
    if (this.#exit === undefined) {
      this.#child.kill('SIGCONT') // a process a test has frozen could not react
      this.#child.kill('SIGTERM')
    }
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #listen(from: 'stdout' | 'stderr'): void {
    const stream = this.#child[from]
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      if (from === 'stdout') this.#stdout = (this.#stdout + text).slice(-this.#maxOutputChars)
      else this.#stderr = (this.#stderr + text).slice(-this.#maxOutputChars)
      const pieces = (this.#partial[from] + text).split('\n')
      this.#partial[from] = (pieces.pop() ?? '').slice(-this.#maxOutputChars)
      for (const line of pieces) this.#keep(line)
      this.#wake()
    })
  }

  #keep(line: string): void {
    this.#lines.push(line)
    this.#linesChars += line.length + 1
    while (this.#linesChars > this.#maxOutputChars) {
      this.#linesChars -= (this.#lines.shift()?.length ?? 0) + 1
    }
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #wait<T>(what: string, options: LineOptions, look: () => T | undefined): Promise<T> {
    const { signal, timeoutMs = LINE_TIMEOUT_MS } = options
    return new Promise<T>((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#watchers.delete(watcher)
        act()
      }
      const onAbort = () => settle(() => reject(signal?.reason))
      const watcher = () => {
        const found = look()
        if (found !== undefined) settle(() => resolve(found))
        else if (this.#exit) {
          const how = `ended (${this.#ending()})`
          settle(() => reject(new Error(this.#missing(what, how))))
        }
      }
      const timer = setTimeout(() => {
        const message = this.#missing(what, `kept silent for ${timeoutMs} ms`)
        settle(() => reject(new OutOfTimeError(message, timeoutMs)))
      }, timeoutMs)
      this.#watchers.add(watcher)
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted) onAbort()
      else watcher()
    })
  }

  #ending(): string {
    return this.#startError?.message ?? `code ${this.#exit?.code}, signal ${this.#exit?.signal}`
  }

  #missing(what: string, how: string): string {
    return `${this.#name}: ${how} before ${what}\n--- stdout\n${this.#stdout.slice(-TAIL_CHARS)}\n--- stderr\n${this.#stderr.slice(-TAIL_CHARS)}`
  }
}

/**
 * Starts a process. Inside a test it is stopped when the test ends; started elsewhere (a
 * `beforeAll`), the caller stops it.
 */
export function spawned(
  command: string,
  args: readonly string[] = [],
  options: SpawnedOptions = {},
): Spawned {
  const started = new Spawned(command, args, options)
  try {
    onTestFinished(async () => {
      await started.stop(LEFT_GRACE_MS)
    })
  } catch {
    // not inside a test
  }
  return started
}

function parsedObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}
