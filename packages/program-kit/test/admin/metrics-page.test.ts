import { expect, test } from 'vitest'

import { metricsPage } from '../../src/admin/metrics-page.ts'

test('metrics are written as Prometheus reads them', async () => {
  const page = metricsPage(() => [
    {
      type: 'counter',
      name: 'adit_things_total',
      help: 'Things.',
      samples: [
        { labels: { kind: 'a"\\\nb', status: 200 }, value: 3 },
        { labels: { kind: 'c', status: 404 }, value: 0 },
      ],
    },
    { type: 'gauge', name: 'adit_now', help: 'Now.', samples: [{ value: -1.5 }] },
    { type: 'gauge', name: 'adit_none', help: 'None.', samples: [] },
    {
      type: 'histogram',
      name: 'adit_seconds',
      help: 'Seconds.',
      upperBounds: [0.5, 1],
      samples: [{ labels: { kind: 'x' }, buckets: [2, 3], count: 6, sum: 12.5 }],
    },
  ])
  const { type, body = '' } = await page()
  expect(type).toBe('text/plain; version=0.0.4; charset=utf-8')
  const [own] = body.split('# HELP process_resident_memory_bytes')
  expect(own).toBe(`# HELP adit_things_total Things.
# TYPE adit_things_total counter
adit_things_total{kind="a\\"\\\\\\nb",status="200"} 3
adit_things_total{kind="c",status="404"} 0

# HELP adit_now Now.
# TYPE adit_now gauge
adit_now -1.5

# HELP adit_seconds Seconds.
# TYPE adit_seconds histogram
adit_seconds_bucket{kind="x",le="0.5"} 2
adit_seconds_bucket{kind="x",le="1"} 5
adit_seconds_bucket{kind="x",le="+Inf"} 6
adit_seconds_sum{kind="x"} 12.5
adit_seconds_count{kind="x"} 6

`)
})

test('the process tells its memory and CPU time', async () => {
  const { body } = await metricsPage(() => [])()
  expect(body).toMatch(/^process_resident_memory_bytes [1-9]\d+$/m)
  expect(body).toMatch(/^process_cpu_seconds_total \d+(\.\d+)?$/m)
})

test('each request reads the values anew', async () => {
  let value = 0
  const page = metricsPage(() => {
    value += 1
    return [{ type: 'counter', name: 'adit_reads_total', help: 'Reads.', samples: [{ value }] }]
  })
  expect((await page()).body).toContain('\nadit_reads_total 1\n')
  expect((await page()).body).toContain('\nadit_reads_total 2\n')
})
