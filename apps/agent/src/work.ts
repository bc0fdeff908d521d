import { isDeepStrictEqual } from 'node:util'

import { sameSettings } from '@proj/config'
import type { Agent, Consumer, Logger } from '@proj/tunnel'
import { FailureLimits, PasswordChecks, policyOf, type VisitorPolicy } from '@proj/auth'

import { Access } from './access/access.ts'
import type { AccessSettings } from './access/access-settings.ts'
import type { LocalBind } from './access/local-bind.ts'
import { Offer } from './listeners/offer.ts'
import { openBinds } from './access/open-binds.ts'
import type { AgentSettings } from './settings.ts'

/** An offer and the settings it was made from. */
export interface RunningOffer {
  readonly setting: AgentSettings['listeners'][number]
  readonly made: Offer
}

/** An access, the settings it was made from, and its local addresses. */
export interface RunningAccess {
  readonly setting: AccessSettings
  readonly made: Access
  readonly binds: readonly LocalBind[]
}

/** What the work of an agent is done with. */
export interface WorkSurroundings {
  /** Offers. */
  readonly agent: Agent
  /** Brings. */
  readonly consumer: Consumer
  /** What the consumer's last attempt to reach the server said, if it failed. */
  readonly lastProblem: () => unknown
  readonly logger: Logger
}

/** What the agent offers and brings now, and the way from one configuration to the next. */
export class Work {
  /** Rejects when an offer ended for good; else pends for ever. */
  readonly failed: Promise<never>
  readonly #around: WorkSurroundings
  readonly #gateParts = { checks: new PasswordChecks(), failures: new FailureLimits() }
  #offers: readonly RunningOffer[] = []
  #accesses: readonly RunningAccess[] = []
  #fail: (error: unknown) => void = () => {}

  constructor(around: WorkSurroundings) {
    this.#around = around
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
   * alone, with its connections, and so is an address that goes to another endpoint. Every new local
   * address is held before anything else is touched.
   *
   * @param signal - ends the wait for an address that is taken.
   * @throws {PortcheckError} when an address cannot be had; everything is then as it was.
   */
  async become(
    wanted: Pick<AgentSettings, 'listeners' | 'accesses'>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#bring(wanted.accesses, signal)
    const kept = this.#offers.filter(({ setting }) =>
      wanted.listeners.some((one) => sameSettings(one, setting)),
    )
    const next = await Promise.all(
      wanted.listeners.map(async (setting) => {
        const running = kept.find((one) => sameSettings(one.setting, setting))
        // Verifiers take a while to make: meanwhile what runs goes on.
        const visitors = running === undefined ? await policyOf(setting.visitors) : undefined
        return { setting, running, visitors }
      }),
    )
    await Promise.all(
      this.#offers.filter((one) => !kept.includes(one)).map(({ made }) => made.listener.close()),
    )
    this.#offers = next.map(
      ({ setting, running, visitors }) =>
        running ?? { setting, made: this.#offer(setting, visitors) },
    )
  }

  /** Resolves once the server serves every offer that is still wanted by then. */
  async ready(signal: AbortSignal): Promise<void> {
    const isWanted = (offer: RunningOffer): boolean => this.#offers.includes(offer)
    await Promise.all(
      this.#offers.map(async (one) => {
        try {
          await one.made.listener.ready({ signal })
        } catch (error) {
          if (isWanted(one)) throw error
        }
      }),
    )
  }

  /** Gives the local addresses up; their connections may finish until the signal aborts. */
  stop(signal: AbortSignal): void {
    for (const bind of this.#binds()) void bind.close({ signal }).catch(() => {})
  }

  /** Ends the accesses now; the offers end with the agent. */
  destroy(): void {
    for (const bind of this.#binds()) bind.destroy()
  }

  async #bring(wanted: readonly AccessSettings[], signal: AbortSignal): Promise<void> {
    const known = [...this.#accesses]
    const left = this.#binds()
    const plan = wanted.map((setting) => {
      const at = known.findIndex(({ made }) => made.endpoint === setting.endpoint)
      const [before] = at < 0 ? [] : known.splice(at, 1)
      const made = before?.made ?? new Access(setting.endpoint, setting.timeoutMs, this.#around)
      const places = setting.bindAddr.map((address) => {
        const own = (bind: LocalBind): boolean => isDeepStrictEqual(bind.address, address)
        // Port 0 is another address each time: only its own access keeps it.
        const isDrawn = address.kind === 'tcp' && address.port === 0
        const index = left.findIndex((bind) => own(bind) && (!isDrawn || bind.access === made))
        return { address, bind: index < 0 ? undefined : left.splice(index, 1)[0] }
      })
      return { setting, made, places }
    })
    const added = await openBinds(
      plan.flatMap(({ setting, made, places }) =>
        places
          .filter(({ bind }) => bind === undefined)
          .map(({ address }) => ({ address, access: made, setting })),
      ),
      { logger: this.#around.logger, signal },
    )
    this.#accesses = plan.map(({ setting, made, places }) => {
      const binds = places.flatMap(({ bind }) => bind ?? added.shift() ?? [])
      made.timeoutMs = setting.timeoutMs
      for (const bind of binds) bind.configure(made, setting)
      return { setting, made, binds }
    })
    // Connections that are open go on; only the address is given up.
    for (const bind of left) void bind.close()
  }

  #binds(): LocalBind[] {
    return this.#accesses.flatMap(({ binds }) => binds)
  }

  #offer(setting: RunningOffer['setting'], visitors: VisitorPolicy | undefined): Offer {
    const { agent, logger } = this.#around
    const offer = new Offer(agent, setting, visitors, this.#gateParts, logger)
    void offer.listener.closed.then(({ error }) => {
      if (error !== undefined) this.#fail(error)
    })
    return offer
  }
}
