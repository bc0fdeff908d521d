// Every way in which a service may not be reachable, and what is said of it.
import { describe, expect, test } from 'vitest'

import { diagnose, type EndpointFacts, stateOf } from '../../../src/admin/api/endpoint-diagnosis.ts'

const NOW = Date.parse('2026-11-30T00:00:00Z')
const GOOD: EndpointFacts = {
  reservedFor: undefined,
  kind: 'http',
  urls: ['https://web.example'],
  port: undefined,
  certificate: { fits: true, expires: '2027-06-01T00:00:00Z' },
  sessions: 1,
  suspects: 0,
  elsewhere: 0,
  isDown: false,
  last: { outcome: 'ok', ageMs: 2_000 },
  rules: [],
  rejected: 0,
  requests: 100,
}

describe('an endpoint', () => {
  test.each<
    [what: string, facts: Partial<EndpointFacts>, states: string, state: string, who: string]
  >([
    ['that is well', {}, 'ok ok ok ok', 'reachable', ''],
    [
      'without a name',
      { sessions: 0, last: undefined },
      'bad unchecked unchecked unchecked',
      'down',
      'visitor',
    ],
    [
      'that is reserved',
      { sessions: 0, reservedFor: 'token:a' },
      'ok bad unchecked unchecked',
      'down',
      'agent',
    ],
    ['whose agent does not answer', { suspects: 1 }, 'ok warn ok ok', 'degraded', 'agent'],
    ['on another node', { sessions: 0, elsewhere: 2 }, 'ok ok unknown ok', 'unknown', ''],
    ['that nobody visited', { last: undefined }, 'ok ok unknown ok', 'unknown', ''],
    [
      'whose service refuses',
      { last: { outcome: 'serviceRefused', ageMs: 0 } },
      'ok ok bad unchecked',
      'down',
      'agent',
    ],
    [
      'whose service broke off',
      { last: { outcome: 'serviceReset', ageMs: 0 } },
      'ok ok warn ok',
      'degraded',
      'agent',
    ],
    ['whose checks fail', { isDown: true }, 'ok ok bad unchecked', 'down', 'agent'],
    [
      'whose visitor went away',
      { last: { outcome: 'consumerGone', ageMs: 0 } },
      'ok ok ok ok',
      'reachable',
      '',
    ],
    [
      'without a certificate',
      { certificate: { fits: false, expires: undefined } },
      'warn ok ok ok',
      'degraded',
      'operator',
    ],
    [
      'whose certificate ends',
      { certificate: { fits: true, expires: '2026-12-06T00:00:00Z' } },
      'warn ok ok ok',
      'degraded',
      'operator',
    ],
    [
      'whose certificate is over',
      { certificate: { fits: true, expires: '2026-11-29T00:00:00Z' } },
      'bad unchecked unchecked unchecked',
      'down',
      'operator',
    ],
    ['that rejects some', { rejected: 3, rules: ['passwords'] }, 'ok ok ok ok', 'reachable', ''],
    [
      'that rejects most',
      { rejected: 50, rules: ['passwords'] },
      'ok ok ok warn',
      'degraded',
      'visitor',
    ],
  ])('%s', (_, facts, states, state, who) => {
    const steps = diagnose({ ...GOOD, ...facts }, NOW)
    expect(steps.map((step) => step.state).join(' ')).toBe(states)
    expect(stateOf(steps)).toBe(state)
    expect(steps.find((step) => step.who !== undefined)?.who ?? '').toBe(who)
    expect(steps.every((step) => (step.who === undefined) === (step.todo === undefined))).toBe(true)
  })

  test('of TCP has a port or is for accesses', () => {
    const tcp = { ...GOOD, kind: 'tcp', certificate: undefined } as const
    expect(diagnose({ ...tcp, port: 5432 }, NOW)[0]?.text).toContain('port 5432')
    expect(diagnose(tcp, NOW)[0]?.text).toContain('adit access')
  })
})
