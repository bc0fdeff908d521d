// One of the programs of a stage: started, killed, frozen and started again, and never to end by itself.
import { readdirSync, readFileSync } from 'node:fs'

import { cleanEnvironment } from '@proj/testkit/clean-environment'
import { spawned, type Spawned } from '@proj/testkit/spawned'

/** How a program is started, asked for at each start. */
export type CommandLine = () => {
  readonly line: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Descriptors of this process that it gets as 3, 4 and so on. Default: none. */
  readonly descriptors?: readonly number[]
}

/** Descriptors and memory of a process. */
export interface Level {
  readonly descriptors: number
  readonly rssBytes: number
}

// what a defect of a program leaves in its output: a stack, a warning of Node, a name of an error of JavaScript
const DEFECT =
  /uncaught|unhandled|MaxListenersExceeded|\b(?:TypeError|RangeError|ReferenceError|AssertionError)\b|^\s+at .+:\d+:\d+\)?$/im

/** Starts Node. */
export const NODE = process.execPath

/** A program that is started as often as wanted. */
export class Program {
  readonly name: string
  /** What went wrong with it, for people. */
  readonly problems: string[] = []
  /** The output of each process that has ended, in order. */
  readonly logs: string[] = []
  readonly #command: CommandLine
  readonly #ended = new WeakSet<Spawned>()
  #process: Spawned | undefined
  /** Of the process that has taken over from the one that was started. */
  #successor: number | undefined

  constructor(name: string, command: CommandLine) {
    this.name = name
    this.#command = command
  }

  /** Starts it and waits for its ready line. */
  async start(): Promise<Record<string, unknown>> {
    const { line, env, descriptors = [] } = this.#command()
    const [command = NODE, ...args] = line
    const started = spawned(command, args, { env: { ...cleanEnvironment(), ...env }, descriptors })
    this.#process = started
    this.#successor = undefined
    void started.exited.then(({ code, signal }) => {
      if (!this.#ended.has(started)) {
        const tail = started.stderr.slice(-400).trim()
        this.problems.push(`${this.name} ended by itself: code ${code}, signal ${signal}: ${tail}`)
      }
      this.logs.push(`${started.stdout}\n${started.stderr}`)
      this.#lookForDefects(started)
    })
    return await started.event('ready')
  }

  /** Of the process that serves. */
  get pid(): number {
    return this.#successor ?? this.#current.pid
  }

  /** Whether it was started and not ended since. */
  get isRunning(): boolean {
    return this.#process !== undefined && !this.#ended.has(this.#process)
  }

  /** Another process has taken over; it writes to the same outputs. */
  replaced(pid: number): void {
    this.#successor = pid
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM, and SIGKILL after `graceMs`. */
  async stop(graceMs = 10_000): Promise<void> {
    this.#ended.add(this.#current)
    if (this.#successor === undefined) return void (await this.#current.stop(graceMs))
    const { exited } = this.#current
    signalTo(this.#successor, 'SIGTERM')
    const timer = setTimeout(signalTo, graceMs, this.#successor, 'SIGKILL')
    await exited // of all processes: they have the same outputs
    clearTimeout(timer)
  }

  /** Ends it at the end of a scenario, however it is. Does nothing when it runs no more. */
  async dispose(): Promise<void> {
    if (this.#process !== undefined) await this.stop()
  }

  /** SIGSTOP. */
  freeze(): void {
    signalTo(this.pid, 'SIGSTOP')
  }

  /** SIGCONT. */
  thaw(): void {
    signalTo(this.pid, 'SIGCONT')
  }

  /** What it uses now. Linux alone. */
  level(): Level {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return {
      descriptors: readdirSync(`/proc/${this.pid}/fd`).length,
      rssBytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024,
    }
  }

  /** Everything that the running process has written so far. */
  get output(): string {
    return `${this.#current.stdout}\n${this.#current.stderr}`
  }

  get #current(): Spawned {
    if (this.#process === undefined) throw new Error(`${this.name} was not started`)
    return this.#process
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#ended.add(this.#current)
    signalTo(this.pid, signal)
    await this.#current.exited
  }

  #lookForDefects(ended: Spawned): void {
    for (const text of [ended.stdout, ended.stderr]) {
      const found = DEFECT.exec(text)
      if (found === null) continue
      const line = text.slice(0, found.index).split('\n').length - 1
      const lines = text.split('\n').slice(Math.max(0, line - 1), line + 6)
      this.problems.push(`${this.name} wrote: ${lines.join(' | ').slice(0, 600)}`)
    }
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it has ended
  }
}
