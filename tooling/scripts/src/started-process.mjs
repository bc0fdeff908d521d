// @ts-check
// One of our programs as a child of a script: reads its JSON event lines, and ends it by pid. When the
// script ends, its children end too.
import { spawn } from 'node:child_process'

/** @type {Set<import('node:child_process').ChildProcess>} */
const alive = new Set()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

const READY_TIMEOUT_MS = 15_000
const STOP_GRACE_MS = 5_000
const TAIL_CHARS = 4_000

export class StartedProcess {
  /** @type {import('node:child_process').ChildProcess} */
  #child
  #name
  #tail = ''
  #partial = ''
  /** @type {Record<string, any>[]} */
  #events = []
  #ended = false
  #watch = () => {}

  /**
   * @param {string} name - for messages
   * @param {string} command
   * @param {readonly string[]} args
   * @param {Record<string, string>} [env] - set over the environment of the script
   */
  constructor(name, command, args, env = {}) {
    this.#name = name
    this.#child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    alive.add(this.#child)
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8')
      stream?.on('data', (text) => this.#read(String(text)))
    }
    /** Resolves when it is gone. */
    this.exited = new Promise((resolve) => {
      const end = () => {
        this.#ended = true
        alive.delete(this.#child)
        this.#watch()
        resolve(undefined)
      }
      this.#child.once('error', (error) => {
        this.#tail += error.message
        end()
      })
      this.#child.once('exit', end)
    })
  }

  get pid() {
    return this.#child.pid ?? -1
  }

  /**
   * Waits for a JSON line with `"event": <event>`.
   *
   * @param {string} event
   * @returns {Promise<Record<string, any>>}
   */
  async event(event, timeoutMs = READY_TIMEOUT_MS) {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const found = this.#events.find((seen) => seen['event'] === event)
      if (found) return found
      const left = deadline - performance.now()
      if (this.#ended || left <= 0) {
        const how = this.#ended ? 'ended' : `was silent for ${timeoutMs} ms`
        throw new Error(`${this.#name} ${how} before "${event}":\n${this.#tail}`)
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#watch = () => {
          clearTimeout(timer)
          resolve(undefined)
        }
      })
    }
  }

  /** Ends it: SIGTERM, then SIGKILL after 5 s. */
  async stop() {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_GRACE_MS)
    await this.exited
    clearTimeout(timer)
  }

  /** @param {string} text */
  #read(text) {
    this.#tail = (this.#tail + text).slice(-TAIL_CHARS)
    const lines = (this.#partial + text).split('\n')
    this.#partial = (lines.pop() ?? '').slice(-TAIL_CHARS)
    for (const line of lines.filter((candidate) => candidate.startsWith('{"event"'))) {
      this.#events.push(JSON.parse(line))
    }
    this.#watch()
  }
}
