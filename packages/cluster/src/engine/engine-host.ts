import { ClusterError } from '../errors.ts'
import type { ClusterNode } from '../model.ts'
import {
  type EngineCall,
  type EngineChannel,
  errorToSend,
  readRequest,
  sendTo,
} from './engine-channel.ts'
import type {
  ChangesQuery,
  Engine,
  EngineCallOptions,
  JoinRequest,
  SweepRequest,
  WriteBatch,
} from './engine.ts'

/** Longest time in which a node that has died is taken out, ms; then its lease ends it. */
const LEAVE_MS = 5_000

/**
 * Lends an engine to another process, which has a `ChannelEngine`. When that process ends, or closes the channel
 * without a `leave` or `close` before, its node leaves at once: the others do not wait until its lease is over.
 */
export class EngineHost {
  /** Resolves when the other process has closed its engine or is gone, and this engine is closed. Never rejects. */
  readonly ended: Promise<void>
  readonly #engine: Engine
  readonly #channel: EngineChannel
  readonly #calls = new Map<number, AbortController>()
  /** The node of the other process, from its join until it leaves. */
  #node: ClusterNode | undefined
  #end: () => void = () => {}

  /**
   * @param engine - for the other process alone; it is closed when that has ended.
   * @param channel - the channel to the other process; the `ChildProcess` of a child.
   */
  constructor(engine: Engine, channel: EngineChannel) {
    this.#engine = engine
    this.#channel = channel
    const over = new Promise<void>((resolve) => (this.#end = resolve))
    this.ended = over.then(async () => await this.#close())
    channel.on('message', this.#onMessage)
    channel.on('disconnect', this.#onDisconnect)
    if (!channel.connected) this.#end()
  }

  readonly #onMessage = (received: unknown): void => {
    const request = readRequest(received)
    switch (request?.type) {
      case 'call':
        void this.#answer(request.id, async (options) => {
          return await this.#call(request.call, request.args, options)
        })
        return
      case 'watch': {
        const { id } = request
        const onHint = (nodeId: string): void => sendTo(this.#channel, { type: 'hint', id, nodeId })
        void this.#answer(id, async (options) => await this.#engine.watch(onHint, options))
        return
      }
      case 'abort':
        this.#calls.get(request.id)?.abort()
        return
      case 'close':
        this.#node = undefined // it has left, or does not want to
        this.#end()
        return
      case undefined:
    }
  }

  readonly #onDisconnect = (): void => this.#end()

  async #answer(id: number, call: (options: EngineCallOptions) => Promise<unknown>): Promise<void> {
    const controller = new AbortController()
    const { signal } = controller
    this.#calls.set(id, controller)
    try {
      const value = await call({ signal })
      sendTo(this.#channel, { type: 'answer', id, value })
    } catch (error) {
      // one that was aborted is not waited for any more
      if (!signal.aborted) sendTo(this.#channel, { type: 'failure', id, error: errorToSend(error) })
    } finally {
      this.#calls.delete(id)
    }
  }

  async #call(call: EngineCall, args: unknown, options: EngineCallOptions): Promise<unknown> {
    const engine = this.#engine
    switch (call) {
      case 'open':
        return await engine.open(options)
      case 'join': {
        const request = args as JoinRequest
        this.#node = request.node
        return await engine.join(request, options)
      }
      case 'write':
        return await engine.write(args as WriteBatch, options)
      case 'nodes':
        return await engine.nodes(options)
      case 'changes':
        return await engine.changes(args as ChangesQuery, options)
      case 'leave': {
        const node = args as ClusterNode
        await engine.leave(node, options)
        if (this.#node?.boot === node.boot) this.#node = undefined
        return null
      }
      case 'sweep':
        return await engine.sweep(args as SweepRequest, options)
      case 'hint':
        return await engine.hint(String(args), options)
      default: // of a newer version of the program
        throw new ClusterError('CLUSTER_DATABASE_FAILED', 'no such call')
    }
  }

  async #close(): Promise<void> {
    this.#channel.off('message', this.#onMessage)
    this.#channel.off('disconnect', this.#onDisconnect)
    for (const call of this.#calls.values()) call.abort()
    const node = this.#node
    try {
      if (node !== undefined) {
        const options = { signal: AbortSignal.timeout(LEAVE_MS) }
        await this.#engine.leave(node, options)
        await this.#engine.hint(node.id, options)
      }
    } catch {
      // its lease will be over soon
    }
    await this.#engine.close().catch(() => {})
  }
}
