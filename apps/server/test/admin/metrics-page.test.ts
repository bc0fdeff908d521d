// docs/admin.md lists every metric; here its table is compared with what both programs serve.
import { readFileSync } from 'node:fs'
import { metricsPage } from '@proj/program-kit'
import { expect, test } from 'vitest'

import { agentMetrics } from '../../../agent/src/admin/metrics.ts'
import { SAMPLE } from '../../../agent/test/status/status-sample.ts'
import { aloneView } from '../../src/cluster/cluster-view.ts'
import { serverMetrics } from '../../src/admin/metrics.ts'
import { deathMetric, loadMetrics } from '../../src/admin/worker-pages.ts'
import { startServer } from '../tunnel-fixture.ts'

const PAGE = readFileSync(new URL('../../../../docs/admin.md', import.meta.url), 'utf8')

/** Type by name, of the rows `| names | types | labels |`; a row may have several names. */
function documented(): ReadonlyMap<string, string> {
  const types = new Map<string, string>()
  for (const [, names = '', kinds = ''] of PAGE.matchAll(
    /^\| (`\w+_\w+`.*?) +\| ([\w, ]+?) +\|/gm,
  )) {
    const kind = kinds.split(', ')
    for (const [at, name] of names.split(', ').entries()) {
      types.set(name.slice(1, -1), kind[at] ?? kind[0] ?? '')
    }
  }
  return types
}

test('docs/admin.md lists the metrics of both programs with their types, and no others', async () => {
  const server = await startServer()
  const { edge, registry, publicPorts, upstreamConnections } = server
  const sources = {
    edge,
    registry,
    publicPorts,
    upstreamConnections,
    tls: [],
    handshakes: undefined,
  }
  const counted = [
    ...serverMetrics({
      ...sources,
      cluster: {
        ...aloneView({ id: 'a', boot: 'b' }, '1.2.3'),
        health: () => ({ isReachable: true, lagMs: 0, leaseAgeMs: 0 }),
      },
      adminConnections: upstreamConnections,
      descriptorsExhausted: () => 0,
      failedAccepts: () => ({}),
      auditDropped: () => ({}),
      sessions: () => 0,
      accessLog: () => undefined,
      spans: () => undefined,
      leftOutLines: () => 0,
    }),
    ...agentMetrics(SAMPLE),
    deathMetric(0),
    ...loadMetrics({ worker: 1, pid: 1, visitors: 0, memoryBytes: 0, load: 0, delayMs: 0 }),
  ]
  server.destroy()
  const all = new Map<string, string>(counted.map(({ name, type }) => [name, type]))
  const { body = '' } = await metricsPage(() => [])()
  for (const [, name = '', type = ''] of body.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    all.set(name, type)
  }
  expect(Object.fromEntries(documented())).toEqual(Object.fromEntries(all))
})
