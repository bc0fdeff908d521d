/** Checks at intervals whether the service of a listener can take visitors. */
import { ResponseHeadReader, isInterim } from '@proj/http1'
import { duration, integer, type RuleProblem, setting, text } from '@proj/config'

import { isFolder, type ListenerAddr } from './listener-addr.ts'
import { connectService, type ServiceDial } from './service-dial.ts'

/** The settings of a listener about the health of its service. */
export const HEALTH_SETTINGS = {
  health: setting(
    text({ pattern: /^(?:connect|\/[!-~]*)$/, allowed: 'a path such as /ready, or connect' }),
    {
      description:
        'Health check of the service: a path, whose answer must have a status below 400, or connect for a connection alone. While it fails, visitors go to other agents. Unset: no checks.',
    },
  ),
  healthIntervalMs: setting(duration({ min: '100ms' }), {
    default: '10s',
    description: 'Time from the end of a health check to the next one.',
  }),
  healthTimeoutMs: setting(duration({ min: '10ms' }), {
    default: '2s',
    description: 'Longest time of a health check; then it has failed.',
  }),
  healthFails: setting(integer({ min: 1, max: 100 }), {
    default: 3,
    description:
      'Failed checks in a row until the service counts as down; if the very first check fails, it does at once.',
  }),
  healthPasses: setting(integer({ min: 1, max: 100 }), {
    default: 2,
    description: 'Passed checks in a row until it counts as up again.',
  }),
}

/** How the service is asked. */
export interface HealthCheckSettings {
  /** Path, or `connect`. */
  readonly health: string
  readonly healthIntervalMs: number
  readonly healthTimeoutMs: number
  readonly healthFails: number
  readonly healthPasses: number
}

/** Finds checks that cannot be made. */
export function* healthCanBeChecked(
  listeners: readonly {
    readonly health: string | undefined
    readonly addr: ListenerAddr
    readonly protocol: 'http' | 'tcp'
  }[],
): Generator<RuleProblem> {
  for (const [index, { health, addr, protocol }] of listeners.entries()) {
    if (health === undefined) continue
    const key = `listeners[${index}].health`
    if (isFolder(addr)) yield { key, message: 'a folder is no service: leave it out' }
    else if (protocol === 'tcp' && health !== 'connect') {
      yield { key, message: 'a TCP service has no paths', hint: 'write health: connect' }
    }
  }
}

/** Checks that go on until they are stopped. */
export class HealthCheck {
  readonly #settings: HealthCheckSettings
  readonly #service: ServiceDial
  readonly #host: string
  readonly #onChange: (isUp: boolean, why: string) => void
  readonly #stopped = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #isUp = true
  #isFirst = true
  /** Checks in a row whose result is not the state. */
  #against = 0

  /**
   * @param host - value of Host.
   * @param onChange - told when the service is down, and when it is up again; it counts as up in the beginning.
   */
  constructor(
    settings: HealthCheckSettings,
    service: ServiceDial,
    host: string,
    onChange: (isUp: boolean, why: string) => void,
  ) {
    this.#settings = settings
    this.#service = service
    this.#host = host
    this.#onChange = onChange
    void this.#run()
  }

  /** Makes no more checks. */
  stop(): void {
    this.#stopped.abort()
    clearTimeout(this.#timer)
  }

  async #run(): Promise<void> {
    const failure = await this.#check()
    if (this.#stopped.signal.aborted) return
    this.#count(failure)
    this.#timer = setTimeout(() => void this.#run(), this.#settings.healthIntervalMs)
    this.#timer.unref() // the sessions keep the process alive, this alone need not
  }

  #count(failure: string | undefined): void {
    const { healthFails, healthPasses } = this.#settings
    const isFirst = this.#isFirst
    this.#isFirst = false
    if ((failure === undefined) === this.#isUp) {
      this.#against = 0
      return
    }
    this.#against += 1
    const wanted = isFirst ? 1 : this.#isUp ? healthFails : healthPasses
    if (this.#against < wanted) return
    this.#against = 0
    this.#isUp = !this.#isUp
    this.#onChange(this.#isUp, failure ?? 'it passes')
  }

  /** @returns why the service is not well; undefined: it is. */
  async #check(): Promise<string | undefined> {
    const { health, healthTimeoutMs } = this.#settings
    const limit = AbortSignal.timeout(healthTimeoutMs)
    const signal = AbortSignal.any([limit, this.#stopped.signal])
    try {
      const socket = await connectService(this.#service, signal)
      const abort = (): void => void socket.destroy()
      signal.addEventListener('abort', abort, { once: true })
      try {
        if (health === 'connect') return undefined
        socket.write(
          `GET ${health} HTTP/1.1\r\nHost: ${this.#host}\r\nUser-Agent: adit-health\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
        )
        const answers = new ResponseHeadReader()
        for await (const chunk of socket as AsyncIterable<Buffer>) {
          let rest = chunk
          while (rest.length > 0) {
            const read = answers.push(rest, { method: 'GET' }, 'lenient')
            if (read === undefined) break
            const { status } = read.head
            if (!isInterim(status)) return status < 400 ? undefined : `it answers ${status}`
            rest = read.rest
          }
        }
        return limit.aborted ? tooLate(healthTimeoutMs) : 'it ends the connection without an answer'
      } finally {
        signal.removeEventListener('abort', abort)
        socket.destroy()
      }
    } catch (error) {
      if (limit.aborted) return tooLate(healthTimeoutMs)
      return error instanceof Error ? error.message : String(error)
    }
  }
}

function tooLate(ms: number): string {
  return `no answer within ${ms} ms`
}
