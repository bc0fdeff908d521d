// Length: one list of listeners and one of accesses; what changes or ends them is judged against both.
import { EventEmitter, once } from 'node:events'
import { isDeepStrictEqual } from 'node:util'

import { sameSettings } from '@proj/config'
import type { InheritedSockets } from '@proj/portcheck'
import type { Agent, Consumer, Logger, ServerOptions } from '@proj/tunnel'
import {
  PasswordChecks,
  policyOf,
  SourceLimiter,
  VISITOR_FAILURES,
  type VisitorPolicy,
} from '@proj/auth'

import { runAfter } from '@proj/tunnel/io'

import { Access } from './access/access.ts'
import type { Capture } from './inspect/capture.ts'
import type { AccessSettings } from './access/access-settings.ts'
import type { HandedAgentSocket, HandedUnixSockets } from './access/handed-unix-sockets.ts'
import type { LocalBind } from './access/local-bind.ts'
import type { AddedListener, ListenerRequest } from './listeners/added-listener.ts'
import { refusalOf } from './listeners/listener-refusal.ts'
import { keepOfflinePage } from './listeners/offline-page.ts'
import { ServiceListener } from './listeners/service-listener.ts'
import { NO_PARTS, type ServiceParts, serviceParts } from './listeners/service-parts.ts'
import { openBinds } from './access/open-binds.ts'
import type { AgentSettings } from './settings.ts'
import type { AgentTracer } from './tracing/agent-tracer.ts'

/** A listener and the settings it was made from. */
export interface RunningListener {
  readonly setting: AgentSettings['listeners'][number]
  readonly made: ServiceListener
  /** The command that added it; undefined: it is in the configuration. */
  readonly request: ListenerRequest | undefined
}

/** How the listeners that run differ from the configuration. */
export interface ListenerChanges {
  /** Listeners of commands. */
  readonly added: readonly AddedListener[]
  /** Endpoints of the configuration that commands have removed. */
  readonly removed: readonly string[]
}

/** As the configuration says. */
const NO_CHANGES: ListenerChanges = { added: [], removed: [] }

/** Most listeners that commands may add. */
const MAX_ADDED = 256

/** When a listener that the server has refused for good is started again, ms: the operator may have changed that. */
const REFUSED_AGAIN_MS = 300_000

/** An access, the settings it was made from, and its local addresses. */
export interface RunningAccess {
  readonly setting: AccessSettings
  readonly made: Access
  readonly binds: readonly LocalBind[]
}

/** What listeners and accesses are made with. */
export interface RunningConfigParts {
  readonly agent: Agent
  /** Opens the connections of the accesses. */
  readonly consumer: Consumer
  /** The error of the consumer's last attempt to reach the server, if it failed. */
  readonly lastProblem: () => unknown
  readonly logger: Logger
  /** How the server is asked, for hints. */
  readonly connect: Pick<AgentSettings['connect'], 'token'>
  /** When a listener that was refused for good is started again, ms. Default: 5 minutes. */
  readonly refusedAgainMs?: number
  /** Whether this process leaves the server. */
  readonly isEnding: () => boolean
  /** Sockets of another process, for the local addresses. */
  readonly inherited: InheritedSockets
  /** The same for unix sockets. */
  readonly handedUnix: HandedUnixSockets
  /** How the server is asked. Default: offline pages are not sent. */
  readonly server?: ServerOptions
  /** Of the inspector; undefined: nothing is captured. */
  readonly capture: Capture | undefined
  /** Makes spans of the requests; undefined: there are none. */
  readonly tracer: AgentTracer | undefined
}

/** The listeners and accesses that run now. `apply` changes them to those of a new configuration. */
export class RunningConfig {
  /** Rejects when nothing is left to serve: each listener has failed, and there is no access; never resolves. */
  readonly failed: Promise<never>
  readonly #parts: RunningConfigParts
  readonly #gateParts = {
    checks: new PasswordChecks(),
    failures: new SourceLimiter(VISITOR_FAILURES),
  }
  #listeners: readonly RunningListener[] = []
  #accesses: readonly RunningAccess[] = []
  /** Endpoints of the configuration that commands have removed. */
  #removed: readonly string[] = []
  /** When listeners that were refused for good are started again. */
  readonly #again = new Map<ServiceListener, Disposable>()
  #isOver = false
  /** Emits `change` when a listener has an answer of the server, or is another one. */
  readonly #answers = new EventEmitter<{ change: [] }>()
  /** What changes listeners or accesses runs one at a time. */
  #lastChange: Promise<unknown> = Promise.resolve()
  #fail: (error: unknown) => void = () => {}

  constructor(parts: RunningConfigParts) {
    this.#parts = parts
    this.failed = new Promise((_, reject) => (this.#fail = reject))
    this.failed.catch(() => {}) // the caller awaits it only once the agent is ready
    parts.agent.on('refused', (listener, error) => {
      const found = this.#listeners.find(({ made }) => made.listener === listener)
      if (found !== undefined) this.#refused(found.made, error)
    })
  }

  /** Listeners in the order of the configuration, with their settings. */
  get listeners(): readonly RunningListener[] {
    return this.#listeners
  }

  /** Accesses in the order of the configuration. */
  get accesses(): readonly RunningAccess[] {
    return this.#accesses
  }

  /**
   * Starts the listeners and accesses of a configuration and ends those that it does not have. What
   * did not change keeps running with its connections, and so does a local address that now belongs
   * to another endpoint. Every new local address is bound before anything else changes.
   *
   * @param signal - ends the wait for an address that is taken.
   * @param changes - to the listeners of the configuration. Default: none, and what was added or removed before
   *   is as in the configuration again.
   * @throws {PortcheckError} when an address cannot be bound; nothing has changed then.
   */
  async apply(
    wanted: Pick<AgentSettings, 'listeners' | 'accesses'>,
    signal: AbortSignal,
    changes: ListenerChanges = NO_CHANGES,
  ): Promise<void> {
    await this.#change(async () => {
      await this.#applyAccesses(wanted.accesses, signal)
      await this.#applyListeners(wanted.listeners, changes)
    })
  }

  /** How the listeners differ from the configuration now. */
  get changes(): ListenerChanges {
    const added = this.#listeners.flatMap(({ setting, request }) =>
      request === undefined ? [] : [{ setting, request }],
    )
    return { added, removed: this.#removed }
  }

  /**
   * Starts one listener beside those that run.
   *
   * @returns the listener; or `served`, when its endpoint has one, or `full`.
   * @throws {UserError} for a file that it names and that cannot be read.
   */
  async add({ setting, request }: AddedListener): Promise<ServiceListener | 'served' | 'full'> {
    return await this.#change(async () => {
      if (this.#listeners.some((one) => one.setting.endpoint === setting.endpoint)) return 'served'
      if (this.changes.added.length >= MAX_ADDED) return 'full'
      const [visitors, parts] = await Promise.all([
        policyOf(setting.visitors),
        serviceParts(setting),
      ])
      const made = this.#startListener(setting, visitors, parts, true)
      this.#listeners = [...this.#listeners, { setting, made, request }]
      return made
    })
  }

  /** Ends one listener: open connections go on. False when its endpoint has none here. */
  async remove(endpoint: string): Promise<boolean> {
    return await this.#change(async () => {
      const found = this.#listeners.find(({ setting }) => setting.endpoint === endpoint)
      if (found === undefined) return false
      this.#forget(found.made)
      await found.made.listener.close()
      this.#listeners = this.#listeners.filter((one) => one !== found)
      if (found.request === undefined) this.#removed = [...this.#removed, endpoint]
      this.#answers.emit('change')
      return true
    })
  }

  /**
   * Resolves once every listener is online that is still in the configuration by then.
   *
   * @param endpoints - only these. Default: all.
   */
  async ready(signal: AbortSignal, endpoints?: readonly string[]): Promise<void> {
    const isWanted = (one: RunningListener): boolean => this.#listeners.includes(one)
    const awaited =
      endpoints === undefined
        ? this.#listeners
        : this.#listeners.filter(({ setting }) => endpoints.includes(setting.endpoint))
    await Promise.all(
      awaited.map(async (one) => {
        try {
          await one.made.listener.ready({ signal })
        } catch (error) {
          if (isWanted(one)) throw error
        }
      }),
    )
  }

  /**
   * Resolves once the server has answered for every listener, and something is served here: a listener that was
   * refused does not keep the others from being announced.
   *
   * @throws the error of the first listener when none is left.
   */
  async answered(signal: AbortSignal): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!this.#isAnswered) await once(this.#answers, 'change', { signal })
    }
    await Promise.race([this.failed, wait()])
  }

  /** Endpoints that visitors reach here now. */
  get online(): readonly string[] {
    const listeners = this.#listeners.map(({ made }) => made.listener)
    return listeners.filter(({ online }) => online).map(({ endpoint }) => endpoint)
  }

  /** A local address that no other process can take over. */
  get unhandable(): LocalBind | undefined {
    return this.#binds().find(({ isBoundToProcess }) => isBoundToProcess)
  }

  /** Whether another process removes the files of the unix sockets that listen now. */
  set keepsFiles(keeps: boolean) {
    for (const bind of this.#binds()) bind.keepsFile = keeps
  }

  /** The listening sockets of the local addresses, for a process that takes them over. */
  get descriptors(): HandedAgentSocket[] {
    return this.#binds().flatMap(({ descriptors }) => descriptors)
  }

  /** Accepts the connections to local addresses that the system holds, which `drain` alone would reset. */
  async free(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#binds().map(async (bind) => await bind.free(signal)))
  }

  /**
   * Closes the local addresses. Resolves when their connections have ended, or the signal has aborted; the
   * connections then stay open.
   */
  async drain(options: { readonly signal: AbortSignal }): Promise<void> {
    await Promise.all(this.#binds().map(async (bind) => await bind.close(options).catch(() => {})))
  }

  /** Resolves when each connection that was accepted has its stream, or was reset. Comes after `drain`. */
  async settle(): Promise<void> {
    await Promise.all(this.#accesses.map(async ({ made }) => await made.settle()))
  }

  /** Resets the connections of the accesses; the far sides are told that this side stops. */
  endConnections(): void {
    for (const { made } of this.#accesses) made.endConnections()
  }

  /** Ends the accesses now; the listeners end with the agent. */
  destroy(): void {
    this.#isOver = true
    for (const made of this.#again.keys()) this.#forget(made)
    for (const bind of this.#binds()) bind.destroy()
  }

  async #change<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(run)
    this.#lastChange = result.catch(() => {})
    return await result
  }

  async #applyListeners(
    configured: AgentSettings['listeners'],
    { added, removed }: ListenerChanges,
  ): Promise<void> {
    const left = configured.filter(({ endpoint }) => !removed.includes(endpoint))
    const isConfigured = ({ setting }: AddedListener): boolean =>
      left.some(({ endpoint }) => endpoint === setting.endpoint)
    const wanted = [
      ...left.map((setting) => ({ setting, request: undefined })),
      ...added.filter((one) => !isConfigured(one)),
    ]
    // One that was refused for good is asked for again: what it lacked may be there now.
    const kept = this.#listeners.filter(
      ({ setting, made }) =>
        made.listener.failure === undefined &&
        wanted.some((one) => sameSettings(one.setting, setting)),
    )
    const next = await Promise.all(
      wanted.map(async ({ setting, request }) => {
        const running = kept.find((one) => sameSettings(one.setting, setting))
        // Hashing passwords takes a while: what runs goes on meanwhile.
        if (running !== undefined) return { setting, request, running }
        const [visitors, parts] = await Promise.all([
          policyOf(setting.visitors),
          serviceParts(setting),
        ])
        return { setting, request, visitors, parts }
      }),
    )
    const ended = this.#listeners.filter((one) => !kept.includes(one))
    for (const { setting, request } of ended) {
      if (request === undefined) continue
      const { endpoint } = setting
      this.#parts.logger.warn(
        { endpoint },
        'listener ended: the new configuration does not have it',
      )
    }
    for (const { made } of ended) this.#forget(made)
    await Promise.all(ended.map(({ made }) => made.listener.close()))
    this.#listeners = next.map(({ setting, request, running, visitors, parts }) => ({
      setting,
      request,
      made: running?.made ?? this.#startListener(setting, visitors, parts, request !== undefined),
    }))
    this.#removed = removed
    this.#answers.emit('change')
  }

  async #applyAccesses(wanted: readonly AccessSettings[], signal: AbortSignal): Promise<void> {
    const known = [...this.#accesses]
    const left = this.#binds()
    const plan = wanted.map((setting) => {
      const at = known.findIndex(({ made }) => made.endpoint === setting.endpoint)
      const [before] = at < 0 ? [] : known.splice(at, 1)
      const made = before?.made ?? new Access(setting.endpoint, setting.timeoutMs, this.#parts)
      const binds = setting.bindAddr.map((address) => {
        const own = (bind: LocalBind): boolean => isDeepStrictEqual(bind.address, address)
        // Port 0 is a new port each time: only the access that has it keeps it.
        const isDrawn = address.kind === 'tcp' && address.port === 0
        const index = left.findIndex((bind) => own(bind) && (!isDrawn || bind.access === made))
        return { address, bind: index < 0 ? undefined : left.splice(index, 1)[0] }
      })
      return { setting, made, binds }
    })
    const { logger, inherited, handedUnix } = this.#parts
    const added = await openBinds(
      plan.flatMap(({ setting, made, binds }) =>
        binds
          .filter(({ bind }) => bind === undefined)
          .map(({ address }) => ({ address, access: made, setting })),
      ),
      { logger, inherited, handedUnix, signal },
    )
    this.#accesses = plan.map(({ setting, made, binds }) => {
      const opened = binds.flatMap(({ bind }) => bind ?? added.shift() ?? [])
      made.timeoutMs = setting.timeoutMs
      for (const bind of opened) bind.configure(made, setting)
      return { setting, made, binds: opened }
    })
    // Open connections go on; only the address is closed.
    for (const bind of left) void bind.close()
  }

  #binds(): LocalBind[] {
    return this.#accesses.flatMap(({ binds }) => binds)
  }

  #startListener(
    setting: RunningListener['setting'],
    visitors: VisitorPolicy | undefined,
    parts: ServiceParts = NO_PARTS,
    isAdded = false,
  ): ServiceListener {
    const { agent, logger, isEnding, capture, tracer, server } = this.#parts
    const made = new ServiceListener(
      agent,
      setting,
      visitors,
      parts,
      this.#gateParts,
      logger,
      isEnding,
      capture,
      tracer,
    )
    const { offlinePage } = setting
    if (offlinePage !== undefined && server !== undefined) {
      keepOfflinePage(made.listener, offlinePage, server, logger)
    }
    made.listener.on('online', () => this.#answers.emit('change'))
    void made.listener.closed.then(({ error }) => {
      if (error === undefined) return
      if (!isAdded) return this.#ended(made, error)
      // A command added it: it is not in the configuration, so that nobody waits for it.
      this.#listeners = this.#listeners.filter((one) => one.made !== made)
      logger.error({ endpoint: setting.endpoint, err: error }, 'listener ended')
      this.#answers.emit('change')
    })
    return made
  }

  /** A listener of the configuration has failed: the others go on, where there are any. */
  #ended(made: ServiceListener, error: Error): void {
    const { logger, isEnding, refusedAgainMs: againMs = REFUSED_AGAIN_MS } = this.#parts
    const isOther = this.#listeners.every((one) => one.made !== made)
    if (isOther || this.#isOver || isEnding()) return
    const isLeft =
      this.#accesses.length > 0 ||
      this.#listeners.some((one) => one.made.listener.failure === undefined)
    if (!isLeft) return this.#fail(this.#listeners[0]?.made.listener.failure ?? error)
    this.#refused(made, error)
    const { endpoint } = made.listener
    const { code, hint, text: why } = made.refusal ?? {}
    logger.error({ endpoint, code, why, hint, againMs }, 'listener refused: it is not served')
    this.#restartLater(made)
  }

  #restartLater(made: ServiceListener): void {
    const { refusedAgainMs = REFUSED_AGAIN_MS } = this.#parts
    const again = runAfter(refusedAgainMs, () => {
      void this.#change(async () => await this.#restart(made))
    })
    this.#again.set(made, again)
  }

  /** Asks for an endpoint again whose listener has failed. */
  async #restart(made: ServiceListener): Promise<void> {
    const { logger, isEnding } = this.#parts
    const found = this.#listeners.find((one) => one.made === made)
    this.#forget(made)
    if (found === undefined || isEnding()) return
    const { setting, request } = found
    try {
      const [visitors, parts] = await Promise.all([
        policyOf(setting.visitors),
        serviceParts(setting),
      ])
      const next = this.#startListener(setting, visitors, parts)
      next.refusal = made.refusal
      this.#listeners = this.#listeners.map((one) =>
        one === found ? { setting, request, made: next } : one,
      )
    } catch (error) {
      logger.error({ endpoint: setting.endpoint, err: error }, 'listener not started again')
      this.#restartLater(made)
    }
  }

  #refused(made: ServiceListener, error: Error): void {
    const { connect, refusedAgainMs = REFUSED_AGAIN_MS } = this.#parts
    made.refusal = refusalOf(error, connect, refusedAgainMs)
    this.#answers.emit('change')
  }

  #forget(made: ServiceListener): void {
    this.#again.get(made)?.[Symbol.dispose]()
    this.#again.delete(made)
  }

  get #isAnswered(): boolean {
    const all = this.#listeners.map(({ made }) => made)
    const isServing =
      all.length === 0 || this.#accesses.length > 0 || all.some(({ listener }) => listener.online)
    return (
      isServing && all.every(({ listener, refusal }) => listener.online || refusal !== undefined)
    )
  }
}
