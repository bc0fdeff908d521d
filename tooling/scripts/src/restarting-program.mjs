// @ts-check
// A program of `pnpm dev`: its output line by line under its name, and its restarts. It runs in a
// process group of its own, so that Ctrl-C reaches the script alone and the script ends all in order.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const STOP_GRACE_MS = 2_000

/** @type {Set<import('node:child_process').ChildProcess>} */
const alive = new Set()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export class RestartingProgram {
  #name
  #command
  #args
  #env
  #print
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child
  /** @type {Promise<void>} the last start or stop */
  #last = Promise.resolve()
  #restartWaits = false
  #ends = false

  /**
   * @param {object} program
   * @param {string} program.name - begins each line
   * @param {string} program.command
   * @param {readonly string[]} program.args
   * @param {Record<string, string>} [program.env] - set over the environment of the script
   * @param {(line: string) => void} print
   */
  constructor({ name, command, args, env = {} }, print) {
    this.#name = name
    this.#command = command
    this.#args = args
    this.#env = env
    this.#print = print
  }

  start() {
    const child = spawn(this.#command, this.#args, {
      env: { ...process.env, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#child = child
    alive.add(child)
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => this.#say(child, line))
    }
    child.once('error', (error) => {
      alive.delete(child)
      this.#say(child, error.message)
    })
    child.once('exit', (code, signal) => {
      alive.delete(child)
      this.#say(child, `ended (${signal ?? `code ${code}`}), starts again after the next change`)
    })
  }

  /**
   * Ends the program if it runs, and starts it again. Calls while a restart waits for the end are
   * one restart.
   */
  restart() {
    if (this.#restartWaits || this.#ends) return this.#last
    this.#restartWaits = true
    this.#last = this.#last.then(async () => {
      await this.#endChild()
      this.#restartWaits = false
      if (!this.#ends) this.start()
    })
    return this.#last
  }

  /** Ends the program: SIGTERM, then SIGKILL after 2 s. Its output is no longer shown. */
  stop() {
    this.#ends = true
    this.#last = this.#last.then(() => this.#endChild())
    return this.#last
  }

  async #endChild() {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || !alive.has(child)) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS)
    child.kill('SIGTERM')
    await exited
    clearTimeout(timer)
  }

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {string} line
   */
  #say(child, line) {
    // what a program says while it is ended on purpose is of no use here
    if (child === this.#child && !this.#ends) this.#print(`${this.#name} | ${line}`)
  }
}
