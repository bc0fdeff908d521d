// What is kept of the visitors of each endpoint, with a clock of the test.
import { describe, expect, test } from 'vitest'

import type { RequestHead } from '@proj/http1'

import {
  EndpointHistory,
  MAX_ENDPOINTS,
  MAX_FAILURES,
  RateHistory,
  STEP_MS,
  STEPS,
} from '../../src/endpoint-history/endpoint-history.ts'

const WEB = { tenant: '', name: 'web' }
const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0)
// The only members that are read.
const head = (target: string) => ({ method: 'GET', target }) as RequestHead

describe('rates', () => {
  test('are kept for an hour, in steps', () => {
    const rates = new RateHistory()
    rates.count(200, 5, 0)
    rates.count(502, 5, STEP_MS)
    rates.countRejected(STEP_MS)
    const steps = rates.steps(STEP_MS)
    expect(steps).toHaveLength(STEPS)
    expect(steps.slice(-2)).toMatchObject([
      { requests: 1, errors: 0, rejected: 0 },
      { requests: 1, errors: 1, rejected: 1 },
    ])
    expect(rates.lastHour(STEP_MS * (STEPS - 1))).toEqual({ requests: 2, rejected: 1 })
    expect(rates.lastHour(STEP_MS * STEPS)).toEqual({ requests: 1, rejected: 1 })
    expect(rates.lastHour(STEP_MS * (STEPS + 1))).toEqual({ requests: 0, rejected: 0 })
    rates.count(200, 5, STEP_MS * 10_000)
    expect(sum(rates.recent(STEP_MS * 10_000))).toBe(1)
    expect(rates.recent(STEP_MS * 10_000)).toHaveLength(30)
  })

  test.each([
    [[0.2], 1, 1],
    [[1], 2, 2],
    [[2], 3, 3],
    [[3], 4, 4],
    [[5], 6, 6],
    [[1e9], 196_608, 196_608],
    [[...Array.from({ length: 95 }, () => 9), ...Array.from({ length: 5 }, () => 900)], 12, 12],
    [[...Array.from({ length: 94 }, () => 9), ...Array.from({ length: 6 }, () => 900)], 12, 1024],
  ])('of answers that took %j ms: half up to %d, 95 %% up to %d', (times, p50Ms, p95Ms) => {
    const rates = new RateHistory()
    for (const ms of times) rates.count(200, ms, 0)
    expect(rates.steps(0).at(-1)).toMatchObject({ p50Ms, p95Ms })
    expect(rates.steps(0)[0]).toMatchObject({ p50Ms: null, p95Ms: null })
  })
})

describe('endpoints', () => {
  test('have a history while there is room; names that visitors make up have none', () => {
    const history = new EndpointHistory()
    history.count(WEB, head('/'), 'r', 200, '', 1, 0)
    expect(history.find(WEB)).toBeUndefined()
    for (let at = 0; at < MAX_ENDPOINTS; at++) {
      history.setServed({ tenant: '', name: `a${at}` }, true)
    }
    history.setServed(WEB, true)
    expect(history.find(WEB)).toBeUndefined()
    history.setServed({ tenant: '', name: 'a7' }, false)
    history.setServed(WEB, true)
    expect(history.find(WEB)).toBeDefined()
    expect(history.find({ tenant: '', name: 'a7' })).toBeUndefined()
    expect(history.size).toBe(MAX_ENDPOINTS)
  })

  test('of one tenant leave room for those of others', () => {
    const history = new EndpointHistory()
    const serve = (tenant: string, name: string): boolean => {
      history.setServed({ tenant, name }, true)
      return history.find({ tenant, name }) !== undefined
    }
    for (let at = 0; at < MAX_ENDPOINTS; at++) serve('greedy', `a${at}`)
    expect(serve('greedy', 'more')).toBe(false)
    for (let at = 0; at < MAX_ENDPOINTS / 2; at++) expect(serve('other', `b${at}`)).toBe(true)
    // Each has its half now, the older ones are gone, and no one takes from the other.
    expect([serve('other', 'more'), serve('greedy', 'more')]).toEqual([false, false])
    const kept = Array.from({ length: MAX_ENDPOINTS }, (_, at) => ({
      tenant: 'greedy',
      name: `a${at}`,
    }))
    expect(kept.findIndex((one) => history.find(one) !== undefined)).toBe(MAX_ENDPOINTS / 2)
    // What is not served any more makes room for its own tenant first.
    history.setServed({ tenant: 'greedy', name: 'a300' }, false)
    history.setServed({ tenant: 'other', name: 'b7' }, false)
    expect(serve('other', 'more')).toBe(true)
    expect(history.find({ tenant: 'greedy', name: 'a300' })).toBeDefined()
    expect(serve('other', 'most')).toBe(true)
    expect(history.find({ tenant: 'greedy', name: 'a300' })).toBeUndefined()
    expect(history.size).toBe(MAX_ENDPOINTS)
  })

  test('keep the last failures, without queries', () => {
    const history = new EndpointHistory()
    history.setServed(WEB, true)
    for (let at = 0; at <= MAX_FAILURES; at++) {
      history.count(WEB, head(`/${at}?token=abc`), `r${at}`, 502, 'service_refused', 1, 0)
    }
    history.count(WEB, head('/ok'), 'r', 404, '', 1, 0) // of the service
    history.count(WEB, head('/proof'), 'r', 200, 'ok', 1, 0)
    history.count(WEB, head(`/${'a'.repeat(200)}`), 'r', 500, '', 1, 0)
    const failures = history.find(WEB)?.failures ?? []
    expect(failures).toHaveLength(MAX_FAILURES)
    expect(failures[0]).toMatchObject({ path: '/2', code: 'service_refused', requestId: 'r2' })
    expect(failures.at(-1)).toMatchObject({ path: `/${'a'.repeat(99)}`, code: '', status: 500 })
  })

  test('of TCP count connections; who goes before any answer has not failed', () => {
    const history = new EndpointHistory()
    history.setServed(WEB, true)
    const ended = {
      endpoint: WEB,
      visitor: { remoteAddress: undefined, remotePort: undefined },
      requestId: 'r',
      agent: 'a',
      openedMs: 1,
      answeredMs: 2,
      totalMs: 3,
      bytesIn: 0,
      bytesOut: 0,
    }
    for (const outcome of ['ok', 'consumerGone', 'serviceRefused', 'limitReached'] as const) {
      history.countConnection({ ...ended, outcome })
    }
    const record = history.find(WEB)
    expect(record?.failures.map(({ code }) => code)).toEqual(['service_refused', 'limit_reached'])
    const steps = record?.rates.steps(performance.now()) ?? []
    expect(sum(steps.map(({ requests }) => requests))).toBe(4)
    expect(sum(steps.map(({ errors }) => errors))).toBe(1)
    expect(sum(steps.map(({ rejected }) => rejected))).toBe(1)
  })
})
