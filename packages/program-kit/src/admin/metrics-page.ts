import type * as PromClient from 'prom-client'

import type { AdminAnswer, AdminPage } from './admin-server.ts'

/** One value of a metric. */
export interface MetricSample {
  /** Values of the labels; every sample of a metric has the same labels. Default: none. */
  readonly labels?: Readonly<Record<string, string | number>>
  /** The value at the time of the request. */
  readonly value: number
}

/** A histogram of one combination of labels. */
export interface HistogramSample {
  /** Values of the labels. */
  readonly labels?: Readonly<Record<string, string | number>>
  /** Observations by bucket, not cumulative, in the order of the bounds; larger ones are left out. */
  readonly buckets: ArrayLike<number>
  /** Number of all observations, those above the last bound included. */
  readonly count: number
  /** Of all observed values. */
  readonly sum: number
}

/** A metric with its values now. */
export type Metric =
  | {
      readonly type: 'counter' | 'gauge'
      readonly name: string
      readonly help: string
      readonly samples: readonly MetricSample[]
    }
  | {
      readonly type: 'histogram'
      readonly name: string
      readonly help: string
      /** Largest value of each bucket, ascending. */
      readonly upperBounds: readonly number[]
      readonly samples: readonly HistogramSample[]
    }

/**
 * The page `/metrics` in the text format of Prometheus: the metrics of a program, then those of its
 * process. A program counts in its own variables, so that counting costs it nothing; they are read for
 * each request. The library is loaded by the first request.
 */
export function metricsPage(read: () => readonly Metric[] | Promise<readonly Metric[]>): AdminPage {
  return async () => await formatMetrics([...(await read()), ...processMetrics()])
}

/** Writes metrics in the text format of Prometheus; a metric without samples is left out. */
export async function formatMetrics(metrics: readonly Metric[]): Promise<AdminAnswer> {
  const library = await import('prom-client')
  const registry = new library.Registry()
  for (const metric of metrics) if (metric.samples.length > 0) register(library, registry, metric)
  return { type: registry.contentType, body: await registry.metrics() }
}

function register(library: typeof PromClient, registry: PromClient.Registry, metric: Metric): void {
  const { name, help, samples } = metric
  const labelNames = Object.keys(samples[0]?.labels ?? {})
  const common = { name, help, labelNames, registers: [registry] }
  switch (metric.type) {
    case 'counter': {
      const counter = new library.Counter(common)
      for (const { labels = {}, value } of metric.samples) counter.inc({ ...labels }, value)
      return
    }
    case 'gauge': {
      const gauge = new library.Gauge(common)
      for (const { labels = {}, value } of metric.samples) gauge.set({ ...labels }, value)
      return
    }
    case 'histogram': {
      const values = metric.samples.flatMap((one) => histogramValues(name, metric.upperBounds, one))
      // The library's histogram takes observations one by one. These were counted elsewhere, so the
      // registry gets an object with the one method that it calls.
      const counted = {
        name,
        get: () => Promise.resolve({ name, help, type: 'histogram', values }),
      }
      registry.registerMetric(counted as unknown as PromClient.Histogram)
    }
  }
}

function histogramValues(
  name: string,
  upperBounds: readonly number[],
  { labels = {}, buckets, count, sum }: HistogramSample,
): { metricName: string; labels: Record<string, string | number>; value: number }[] {
  let upTo = 0
  const cumulative = upperBounds.map((le, index) => {
    upTo += buckets[index] ?? 0
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: upTo }
  })
  return [
    ...cumulative,
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
    { metricName: `${name}_sum`, labels: { ...labels }, value: sum },
    { metricName: `${name}_count`, labels: { ...labels }, value: count },
  ]
}

/** Memory and CPU time of this process. */
export function processMetrics(): readonly Metric[] {
  const { user, system } = process.cpuUsage()
  return [
    {
      type: 'gauge',
      name: 'process_resident_memory_bytes',
      help: 'Resident memory.',
      samples: [{ value: process.memoryUsage.rss() }],
    },
    {
      type: 'counter',
      name: 'process_cpu_seconds_total',
      help: 'CPU time used.',
      samples: [{ value: (user + system) / 1e6 }],
    },
  ]
}
