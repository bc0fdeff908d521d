import { isDeepStrictEqual } from 'node:util'

import { accessLists } from '@proj/console'
import type { Agent, Consumer, Listener, Logger } from '@proj/tunnel'

import { offer } from './offer.ts'
import { hasSamePlace, openAccesses, type RunningAccess } from './open-accesses.ts'
import type { AgentSettings } from './settings.ts'

/** An offer and the settings it was made from. */
export interface RunningOffer {
  readonly setting: AgentSettings['listeners'][number]
  readonly made: Listener
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
  get accesses(): readonly RunningAccess[] {
    return this.#accesses
  }

  /**
   * Offers and brings what is wanted, and ends what is not any more; what stays the same is left
   * alone, with its connections, and so does an access whose lists change. Every new local address is held before anything else is touched.
   *
   * @param signal - ends the wait for a port that is taken.
   * @throws {PortcheckError} when an address cannot be had; everything is then as it was.
   */
  async become(
    wanted: Pick<AgentSettings, 'listeners' | 'accesses'>,
    signal: AbortSignal,
  ): Promise<void> {
    const left = [...this.#accesses]
    const places = wanted.accesses.map((setting) => {
      const at = left.findIndex((one) => hasSamePlace(one.setting, setting))
      return { setting, running: at < 0 ? undefined : left.splice(at, 1)[0] }
    })
    const added = await openAccesses(
      places.filter(({ running }) => running === undefined).map(({ setting }) => setting),
      { consumer: this.#consumer, logger: this.#logger, signal },
    )
    this.#accesses = places.flatMap(({ setting, running }) => {
      const access = running ?? added.shift()
      if (access === undefined) return []
      access.listeners.restrict(accessLists(setting))
      return [{ ...access, setting }]
    })
    // Connections that are open go on; only the port is given up.
    for (const { listeners } of left) void listeners.close()
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
    for (const { listeners } of this.#accesses) void listeners.close({ signal }).catch(() => {})
  }

  /** Ends the accesses now; the offers end with the agent. */
  destroy(): void {
    for (const { listeners } of this.#accesses) listeners.destroy()
  }

  #offer(setting: RunningOffer['setting']): Listener {
    const listener = offer(this.#agent, setting, this.#logger)
    void listener.closed.then(({ error }) => {
      if (error !== undefined) this.#fail(error)
    })
    return listener
  }
}
