// An engine whose way to the database can be cut, as a network does it to one node.
import type { Engine, EngineCallOptions } from '../src/engine/engine.ts'
import { ClusterError } from '../src/errors.ts'

/** Passes calls on, unless it is cut: then they fail, or `hang` without an answer. */
export class CutEngine implements Engine {
  readonly #engine: Engine
  readonly #hanging = new Set<() => void>()
  #way: 'open' | 'cut' | 'hang' = 'open'

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get way(): 'open' | 'cut' | 'hang' {
    return this.#way
  }

  /** What happens to calls from now on; those that hang fail. */
  set way(way: 'open' | 'cut' | 'hang') {
    this.#way = way
    for (const fail of this.#hanging) fail()
    this.#hanging.clear()
  }

  open: Engine['open'] = (options) => this.#pass(options, () => this.#engine.open(options))
  join: Engine['join'] = (request, options) =>
    this.#pass(options, () => this.#engine.join(request, options))
  write: Engine['write'] = (batch, options) =>
    this.#pass(options, () => this.#engine.write(batch, options))
  nodes: Engine['nodes'] = (options) => this.#pass(options, () => this.#engine.nodes(options))
  changes: Engine['changes'] = (query, options) =>
    this.#pass(options, () => this.#engine.changes(query, options))
  leave: Engine['leave'] = (node, options) =>
    this.#pass(options, () => this.#engine.leave(node, options))
  sweep: Engine['sweep'] = (request, options) =>
    this.#pass(options, () => this.#engine.sweep(request, options))
  hint: Engine['hint'] = (id, options) => this.#pass(options, () => this.#engine.hint(id, options))
  watch: Engine['watch'] = (onHint, options) =>
    this.#pass(options, () =>
      this.#engine.watch((id) => {
        if (this.way === 'open') onHint(id)
      }, options),
    )
  close: Engine['close'] = () => this.#engine.close()

  async #pass<T>({ signal }: EngineCallOptions, call: () => Promise<T>): Promise<T> {
    if (this.way === 'open') return await call()
    if (this.way === 'cut') throw new ClusterError('CLUSTER_DATABASE_UNREACHABLE')
    return await new Promise<never>((_, reject) => {
      this.#hanging.add(() => reject(new ClusterError('CLUSTER_DATABASE_UNREACHABLE')))
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
}
