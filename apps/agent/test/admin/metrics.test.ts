import { type AgentStatus, metricsPage } from '@proj/program-kit'
import { describe, expect, test } from 'vitest'

import { agentMetrics } from '../../src/admin/metrics.ts'
import { SAMPLE } from '../status/status-sample.ts'

async function textOf(status: AgentStatus): Promise<string> {
  const { body = '' } = await metricsPage(() => agentMetrics(status))()
  return body
}

describe('metrics', () => {
  test('name every link, listener, address and counter', async () => {
    const lines = (await textOf(SAMPLE)).split('\n')
    expect(lines).toEqual(
      expect.arrayContaining([
        'adit_agent_link_up{half="accesses"} 0',
        'adit_agent_listener_online{endpoint="pg"} 0',
        'adit_agent_bind_listening{endpoint="pc1",address="127.0.0.1:9902"} 0',
        'adit_agent_connections{side="access",endpoint="pc1"} 1',
        'adit_agent_failures_total{endpoint="pc1"} 2',
        'adit_agent_bytes_total{side="listener",endpoint="web",direction="from_service"} 7340032',
      ]),
    )
    const names = lines
      .filter((line) => line.startsWith('# TYPE'))
      .map((line) => line.split(' ')[2])
    expect(new Set(names).size).toBe(names.length)
  })

  test('escape what an endpoint may be called', async () => {
    const [first] = SAMPLE.listeners
    if (first === undefined) throw new Error('the sample has listeners')
    const odd = { ...SAMPLE, listeners: [{ ...first, endpoint: 'a"b\\c' }] }
    expect(await textOf(odd)).toContain('adit_agent_listener_online{endpoint="a\\"b\\\\c"} 1')
  })
})
