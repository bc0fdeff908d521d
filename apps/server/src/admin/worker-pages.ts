/** The pages of the admin port of a server with workers: the one that has it asks the others, and shows one server. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'

import {
  type AdminPage,
  type EdgeStatus,
  formatMetrics,
  jsonLine,
  jsonPage,
  type Metric,
  type NodeStatus,
  processMetrics,
  type ServerPages,
  type WorkerLoad,
} from '@proj/program-kit'

import type { ClusterView } from '../cluster/cluster-view.ts'

/** What a worker knows of itself and of its parent. */
export interface WorkerPages {
  /** Its number, from 1. */
  readonly id: number
  /** What the parent knows of all workers. */
  facts(): Promise<{ readonly deaths: number }>
}

/** Pages that have a part from each worker. */
export interface OwnPages {
  readonly endpoints: () => ServerPages['/status/upstream/endpoints']
  readonly sessions: () => ServerPages['/status/upstream/sessions']
  readonly edge: () => EdgeStatus
  readonly nodes: () => readonly NodeStatus[]
  readonly metrics: () => readonly Metric[]
}

/** Where a worker reads what another one is doing; no page of the admin port. */
export const WORKER_PATH = '/worker'

/** What a worker says of itself. */
interface WorkerAnswer {
  readonly load: WorkerLoad
  readonly metrics: readonly Metric[]
}

/** How often the delay of the event loop is measured, ms. */
const DELAY_RESOLUTION_MS = 20

/** Makes the pages of one worker for all, and what the others read of this one. */
export class AllWorkers {
  readonly #cluster: ClusterView
  readonly #workers: WorkerPages
  readonly #own: OwnPages
  readonly #delays = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  #used = performance.eventLoopUtilization()

  constructor(cluster: ClusterView, workers: WorkerPages, own: OwnPages) {
    this.#cluster = cluster
    this.#workers = workers
    this.#own = own
    this.#delays.enable()
  }

  /** What this worker says of itself to another one. */
  readonly answer: AdminPage = () => {
    return { type: 'application/json', body: jsonLine(this.#answer()) }
  }

  /** The pages for operators. */
  get pages(): readonly (readonly [path: string, page: AdminPage])[] {
    const own = this.#own
    const merged = <Path extends keyof ServerPages>(
      path: Path,
      read: () => ServerPages[Path],
      merge: (parts: readonly ServerPages[Path][]) => ServerPages[Path],
    ): readonly [string, AdminPage] => [
      path,
      jsonPage<ServerPages[Path]>(async () => merge([read(), ...(await this.#ask<Path>(path))])),
    ]
    return [
      merged('/status/upstream/endpoints', own.endpoints, sumOf),
      merged('/status/upstream/sessions', own.sessions, (parts) => parts.flat()),
      merged('/status/edge', own.edge, sumOfEdges),
      ['/status/cluster/nodes', jsonPage(async () => await this.#nodes())],
      ['/metrics', async () => await formatMetrics(await this.#metrics())],
    ]
  }

  #answer(): WorkerAnswer {
    const load = {
      worker: this.#workers.id,
      pid: process.pid,
      visitors: this.#own.edge().connections,
      memoryBytes: process.memoryUsage.rss(),
      ...this.#eventLoop(),
    }
    return { load, metrics: [...this.#own.metrics(), ...loadMetrics(load), ...processMetrics()] }
  }

  /** Since it was asked for last. */
  #eventLoop(): Pick<WorkerLoad, 'load' | 'delayMs'> {
    const used = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(used, this.#used)
    this.#used = used
    // What is measured has the time between two looks in it.
    const delayMs = this.#delays.percentile(99) / 1e6 - DELAY_RESOLUTION_MS
    this.#delays.reset()
    return {
      load: Math.round(utilization * 1000) / 1000,
      delayMs: Math.max(0, Math.round(delayMs * 10) / 10),
    }
  }

  /** Each node with what its worker says of itself; one that does not answer is shown without. */
  async #nodes(): Promise<NodeStatus[]> {
    const nodes = this.#own.nodes()
    const answers = await Promise.all(
      nodes.map(async ({ id, local }) => {
        if (local) return this.#answer()
        return await this.#askOne<WorkerAnswer>(id, WORKER_PATH).catch(() => undefined)
      }),
    )
    const all = nodes.map((node, index) => {
      const worker = answers[index]?.load
      return worker === undefined ? node : { ...node, worker }
    })
    return all.toSorted((a, b) => (a.worker?.worker ?? Infinity) - (b.worker?.worker ?? Infinity))
  }

  /** Metrics of all workers, with a label for each; those of one that does not answer are missing. */
  async #metrics(): Promise<readonly Metric[]> {
    const others = await Promise.all(
      [...this.#cluster.nodes()].map(async ({ id }) => {
        return await this.#askOne<WorkerAnswer>(id, WORKER_PATH).catch(() => undefined)
      }),
    )
    const byName = new Map<string, Metric>()
    for (const { load, metrics } of [
      this.#answer(),
      ...others.filter((one) => one !== undefined),
    ]) {
      for (const metric of metrics) {
        const before = byName.get(metric.name)?.samples ?? []
        const samples = metric.samples.map((sample) => {
          return { ...sample, labels: { ...sample.labels, worker: load.worker } }
        })
        byName.set(metric.name, { ...metric, samples: [...before, ...samples] } as Metric)
      }
    }
    const { deaths } = await this.#workers.facts()
    return [...byName.values(), deathMetric(deaths)]
  }

  async #ask<Path extends keyof ServerPages>(path: Path): Promise<ServerPages[Path][]> {
    const nodes = [...this.#cluster.nodes()].filter(({ id }) => this.#cluster.isConnected(id))
    return await Promise.all(
      nodes.map(async ({ id }) => await this.#askOne<ServerPages[Path]>(id, path)),
    )
  }

  /** @throws when the worker does not answer. */
  async #askOne<Page>(nodeId: string, path: string): Promise<Page> {
    const { status, body } = await this.#cluster.ask(nodeId, path)
    if (status !== undefined && status !== 200) throw new Error(`worker ${nodeId}: ${status}`)
    return JSON.parse(String(body)) as Page // of the same program
  }
}

/** How many workers have died, for all of them. */
export function deathMetric(deaths: number): Metric {
  return {
    type: 'counter',
    name: 'adit_worker_deaths_total',
    help: 'Workers that ended without being asked to, and were started again.',
    samples: [{ value: deaths }],
  }
}

/** What a worker counts besides what a server alone does. */
export function loadMetrics({ load, delayMs }: WorkerLoad): readonly Metric[] {
  return [
    {
      type: 'gauge',
      name: 'adit_worker_load',
      help: 'Share of the time in which the event loop of the worker was busy, since the last request.',
      samples: [{ value: load }],
    },
    {
      type: 'gauge',
      name: 'adit_worker_loop_delay_seconds',
      help: 'Delay of the event loop of the worker, 99th percentile since the last request.',
      samples: [{ value: delayMs / 1000 }],
    },
  ]
}

function sumOf(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const part of parts) {
    for (const [name, count] of Object.entries(part)) sums[name] = (sums[name] ?? 0) + count
  }
  return sums
}

function sumOfEdges(parts: readonly EdgeStatus[]): EdgeStatus {
  const sum = (read: (edge: EdgeStatus) => number): number =>
    parts.reduce((total, edge) => total + read(edge), 0)
  return {
    connections: sum((edge) => edge.connections),
    requests: sum((edge) => edge.requests),
    inFlight: sum((edge) => edge.inFlight),
    upgraded: sum((edge) => edge.upgraded),
    bytesIn: sum((edge) => edge.bytesIn),
    bytesOut: sum((edge) => edge.bytesOut),
    statuses: sumOf(parts.map((edge) => edge.statuses)),
    secondsWithoutDescriptors: Math.max(
      ...parts.map((edge) => edge.secondsWithoutDescriptors ?? 0),
    ),
  }
}
