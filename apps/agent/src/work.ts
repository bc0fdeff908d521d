import { isDeepStrictEqual } from 'node:util'

import type { Agent, Consumer, Listener, Logger } from '@proj/tunnel'

import { Access } from './access.ts'
import { offer } from './offer.ts'
import type { AgentSettings } from './settings.ts'

/** An offer and the settings it was made from. */
export interface RunningOffer {
  readonly setting: AgentSettings['listeners'][number]
  readonly made: Listener
}

/** An access and the settings it was made from. */
export interface RunningAccess {
  readonly setting: AgentSettings['accesses'][number]
  readonly made: Access
}

/** What the agent offers and brings now, and the way from one configuration to the next. */
export class Work {
  /** Rejects when an offer ended for good; else pends for ever. */
  readonly failed: Promise<never>
  readonly #agent: Agent
  readonly #consumer: Consumer
  readonly #logger: Logger
  #offers: readonly RunningOffer[] = []
  #accesses: readonly RunningAccess[] = []
  #fail: (error: unknown) => void = () => {}

  constructor(agent: Agent, consumer: Consumer, logger: Logger) {
    this.#agent = agent
    this.#consumer = consumer
    this.#logger = logger
    this.failed = new Promise((_, reject) => (this.#fail = reject))
    this.failed.catch(() => {}) // whoever runs the agent listens only once it is ready
  }

  /** Offers in the order of the configuration, with their settings. */
  get offers(): readonly RunningOffer[] {
    return this.#offers
  }

  /** Accesses in the order of the configuration. */
  get accesses(): readonly Access[] {
    return this.#accesses.map(({ made }) => made)
  }

  /**
   * Offers and brings what is wanted, and ends what is not any more; what stays the same is left
   * alone, with its connections. Every new local address is held before anything else is touched.
   *
   * @throws {PortcheckError} when an address cannot be had; everything is then as it was.
   */
  async become(wanted: Pick<AgentSettings, 'listeners' | 'accesses'>): Promise<void> {
    const before = this.#accesses
    const added: Access[] = []
    const next: RunningAccess[] = []
    try {
      for (const setting of wanted.accesses) {
        const same = before.find((one) => isDeepStrictEqual(one.setting, setting))
        const made = same?.made ?? (await Access.start(setting, this.#consumer, this.#logger))
        if (same === undefined) added.push(made)
        next.push({ setting, made })
      }
    } catch (error) {
      for (const access of added) access.listeners.destroy()
      throw error
    }
    this.#accesses = next
    for (const { made } of before) {
      // Connections that are open go on; only the port is given up.
      if (!this.accesses.includes(made)) void made.listeners.close()
    }
    const kept = this.#offers.filter(({ setting }) =>
      wanted.listeners.some((one) => isDeepStrictEqual(one, setting)),
    )
    await Promise.all(
      this.#offers.filter((one) => !kept.includes(one)).map(({ made }) => made.close()),
    )
    this.#offers = wanted.listeners.map(
      (setting) =>
        kept.find((one) => isDeepStrictEqual(one.setting, setting)) ?? {
          setting,
          made: this.#offer(setting),
        },
    )
  }

  /** Resolves once the server serves every offer that is still wanted by then. */
  async ready(signal: AbortSignal): Promise<void> {
    const isWanted = (offer: RunningOffer): boolean => this.#offers.includes(offer)
    await Promise.all(
      this.#offers.map(async (one) => {
        try {
          await one.made.ready({ signal })
        } catch (error) {
          if (isWanted(one)) throw error
        }
      }),
    )
  }

  /** Gives the local ports up; their connections may finish until the signal aborts. */
  stop(signal: AbortSignal): void {
    for (const { listeners } of this.accesses) void listeners.close({ signal }).catch(() => {})
  }

  /** Ends the accesses now; the offers end with the agent. */
  destroy(): void {
    for (const { listeners } of this.accesses) listeners.destroy()
  }

  #offer(setting: RunningOffer['setting']): Listener {
    const listener = offer(this.#agent, setting, this.#logger)
    void listener.closed.then(({ error }) => {
      if (error !== undefined) this.#fail(error)
    })
    return listener
  }
}
