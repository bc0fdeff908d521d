import { ClusterError } from '../errors.ts'
import type { ClusterNode, RouteFacts } from '../model.ts'
import {
  type EngineCall,
  type EngineChannel,
  type EngineRequest,
  errorReceived,
  readResponse,
  sendTo,
} from './engine-channel.ts'
import type {
  ChangesPage,
  ChangesQuery,
  Engine,
  EngineCallOptions,
  JoinAnswer,
  JoinRequest,
  NodeState,
  SweepRequest,
  WriteAnswer,
  WriteBatch,
} from './engine.ts'

/** Options of a {@link ChannelEngine}. */
export interface ChannelEngineOptions {
  /** The channel to the process of the host; `process` in a child of it. */
  readonly channel: EngineChannel
  /** Longest time for one answer, ms. Default: 10000, range 100 to 600000. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = { default: 10_000, min: 100, max: 600_000 }

/** Calls that wait for the host at most; one more is CLUSTER_DATABASE_BUSY. */
const MAX_CALLS = 1_000

/** A call that waits. */
interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly onHint?: (nodeId: string) => void
}

/**
 * The engine of a node whose engine is in another process, its parent: every call is a message to an `EngineHost`
 * there. Calls of an engine whose channel is closed are CLUSTER_DATABASE_UNREACHABLE.
 */
export class ChannelEngine implements Engine {
  readonly #channel: EngineChannel
  readonly #timeoutMs: number
  readonly #pending = new Map<number, Pending>()
  #lastId = 0
  #isClosed = false

  /**
   * @throws {ClusterError} CLUSTER_OPTION_INVALID
   */
  constructor({ channel, timeoutMs = TIMEOUT_MS.default }: ChannelEngineOptions) {
    const { min, max } = TIMEOUT_MS
    if (!Number.isSafeInteger(timeoutMs) || timeoutMs < min || timeoutMs > max) {
      const range = `is not a whole number from ${min} to ${max}`
      throw new ClusterError('CLUSTER_OPTION_INVALID', range, { option: 'timeoutMs' })
    }
    this.#channel = channel
    this.#timeoutMs = timeoutMs
    channel.on('message', this.#onMessage)
    channel.on('disconnect', this.#onDisconnect)
  }

  /** @inheritdoc */
  async open(options: EngineCallOptions): Promise<void> {
    await this.#call('open', undefined, options)
  }

  /** @inheritdoc */
  async join(request: JoinRequest, options: EngineCallOptions): Promise<JoinAnswer> {
    return (await this.#call('join', request, options)) as JoinAnswer
  }

  /** @inheritdoc */
  async write(batch: WriteBatch, options: EngineCallOptions): Promise<WriteAnswer> {
    const answer = (await this.#call('write', batch, options)) as WriteAnswer
    if (!answer.isDone) return answer
    return { ...answer, puts: answer.puts.map((put) => put ?? undefined) } // JSON makes null of undefined
  }

  /** @inheritdoc */
  async nodes(options: EngineCallOptions): Promise<readonly NodeState[]> {
    return (await this.#call('nodes', undefined, options)) as readonly NodeState[]
  }

  /** @inheritdoc */
  async changes(query: ChangesQuery, options: EngineCallOptions): Promise<ChangesPage | undefined> {
    const page = (await this.#call('changes', query, options)) as ChangesPage | null | undefined
    if (page === undefined || page === null) return undefined
    const changes = page.changes.map((change) => ({ ...change, facts: wholeFacts(change.facts) }))
    return { ...page, changes }
  }

  /** @inheritdoc */
  async leave(node: ClusterNode, options: EngineCallOptions): Promise<void> {
    await this.#call('leave', node, options)
  }

  /** @inheritdoc */
  async sweep(request: SweepRequest, options: EngineCallOptions): Promise<void> {
    await this.#call('sweep', request, options)
  }

  /** @inheritdoc */
  async hint(nodeId: string, options: EngineCallOptions): Promise<void> {
    await this.#call('hint', nodeId, options)
  }

  /** @inheritdoc */
  async watch(onHint: (nodeId: string) => void, options: EngineCallOptions): Promise<never> {
    return (await this.#request({ type: 'watch' }, options, onHint)) as never
  }

  /** @inheritdoc */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#channel.off('message', this.#onMessage)
    this.#channel.off('disconnect', this.#onDisconnect)
    sendTo(this.#channel, { type: 'close' })
    this.#rejectAll('CLUSTER_CLOSED')
    await Promise.resolve()
  }

  async #call(call: EngineCall, args: unknown, options: EngineCallOptions): Promise<unknown> {
    return await this.#request({ type: 'call', call, args }, options)
  }

  async #request(
    request: Omit<Extract<EngineRequest, { type: 'call' }>, 'id'> | { readonly type: 'watch' },
    { signal }: EngineCallOptions,
    onHint?: (nodeId: string) => void,
  ): Promise<unknown> {
    if (this.#isClosed) throw new ClusterError('CLUSTER_CLOSED')
    signal.throwIfAborted()
    if (!this.#channel.connected) throw new ClusterError('CLUSTER_DATABASE_UNREACHABLE')
    if (this.#pending.size >= MAX_CALLS) throw new ClusterError('CLUSTER_DATABASE_BUSY')
    const id = (this.#lastId += 1)
    let onAbort = (): void => {}
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<unknown>((resolve, reject) => {
        const giveUp = (reason: unknown): void => {
          sendTo(this.#channel, { type: 'abort', id })
          reject(reason)
        }
        onAbort = () => giveUp(signal.reason)
        signal.addEventListener('abort', onAbort, { once: true })
        this.#pending.set(id, { resolve, reject, ...(onHint !== undefined && { onHint }) })
        if (request.type === 'call') {
          const late = (): void => giveUp(new ClusterError('CLUSTER_DATABASE_UNREACHABLE'))
          timer = setTimeout(late, this.#timeoutMs)
        }
        sendTo(this.#channel, { ...request, id })
      })
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      this.#pending.delete(id)
    }
  }

  readonly #onMessage = (received: unknown): void => {
    const message = readResponse(received)
    if (message === undefined) return
    const pending = this.#pending.get(message.id)
    if (pending === undefined) return // it was aborted
    if (message.type === 'answer') pending.resolve(message.value)
    else if (message.type === 'failure') pending.reject(errorReceived(message.error))
    else if (message.type === 'hint') pending.onHint?.(message.nodeId)
  }

  readonly #onDisconnect = (): void => this.#rejectAll('CLUSTER_DATABASE_UNREACHABLE')

  #rejectAll(code: 'CLUSTER_CLOSED' | 'CLUSTER_DATABASE_UNREACHABLE'): void {
    for (const { reject } of this.#pending.values()) reject(new ClusterError(code))
  }
}

/** Facts with all their fields: JSON leaves out those without a value, and the table keeps one shape of objects. */
function wholeFacts(facts: RouteFacts | undefined): RouteFacts | undefined {
  if (facts === undefined) return undefined
  const {
    identity,
    kind,
    sessions,
    exclusive,
    peer,
    reuse,
    strictness,
    rules,
    limits,
    agents,
    isDown,
  } = facts
  return {
    identity,
    kind,
    sessions,
    exclusive,
    peer,
    reuse,
    strictness,
    rules,
    limits,
    agents,
    isDown,
  }
}
