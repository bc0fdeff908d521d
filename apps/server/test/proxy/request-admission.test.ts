import { describe, expect, it } from 'vitest'

import {
  RequestAdmission,
  type RequestAdmissionOptions,
} from '../../src/proxy/request-admission.ts'

const LOOK_MS = 10

/** An event loop whose delays the test says, and requests that it begins. */
function loop(options: Partial<RequestAdmissionOptions> = {}) {
  let nowMs = 1_000
  let look: (() => void) | undefined
  const warnings: unknown[] = []
  const load = {
    running: 0,
    old: 0,
    visitors: 10_000,
    requests: 0,
    givenUp: 0,
    bodies: 0,
    answered: 0,
  }
  const ignore = (): void => {}
  const max = options.maxRequests ?? 1_000
  const admission = new RequestAdmission(
    { maxLoopDelayMs: 25, queueTargetMs: 100, minRequests: 10, maxRequests: 1_000, ...options },
    {
      stats: {
        get requests() {
          return load.requests
        },
        get inFlight() {
          return load.running + load.bodies
        },
        get awaiting() {
          return load.running
        },
        get answered() {
          return load.answered
        },
        get givenUp() {
          return load.givenUp
        },
      },
      visitors: () => load.visitors,
      olderThan: () => load.old,
      logger: { debug: ignore, info: ignore, error: ignore, warn: (about) => warnings.push(about) },
    },
    {
      now: () => nowMs,
      every: (_, call) => {
        look = call
        return () => (look = undefined)
      },
    },
  )
  /** Begins requests as a visitor's connection does. @returns how many were rejected. */
  const begin = (count: number): number => {
    let rejected = 0
    for (let at = 0; at < count; at++) {
      load.requests += 1
      const isMany = load.running >= admission.limit || load.running + load.bodies >= max
      if (isMany && admission.rejects()) rejected += 1
      else load.running += 1
    }
    return rejected
  }
  /** Looks for `ms`, each `delayMs` late. */
  const turn = (ms: number, delayMs: number): void => {
    for (const end = nowMs + ms; nowMs < end;) {
      nowMs += LOOK_MS + delayMs
      look?.()
    }
  }
  return { admission, load, warnings, begin, turn, isWatched: () => look !== undefined }
}

/** An overloaded one: 100 requests run, and the loop has been 50 ms late for a quarter of a second. */
function overloaded(options: Partial<RequestAdmissionOptions> = {}) {
  const one = loop(options)
  one.begin(100)
  one.turn(250, 50)
  return one
}

describe('the limit of requests', () => {
  it('watches nothing while few run', () => {
    const { begin, isWatched, load, turn } = loop()
    expect(begin(10)).toBe(0)
    expect(isWatched()).toBe(false)
    begin(1)
    expect(isWatched()).toBe(true)
    load.running = 4
    turn(LOOK_MS, 0)
    expect(isWatched()).toBe(false)
    expect(begin(100)).toBe(0)
  })

  it('rejects none for a delay that has a pause within a fifth of a second', () => {
    const { begin, turn, admission } = loop()
    begin(100)
    for (let at = 0; at < 10; at++) {
      turn(180, 170)
      turn(LOOK_MS, 0)
    }
    expect(admission.isLimiting).toBe(false)
    expect(begin(400)).toBe(0)
  })

  it('becomes the number that runs, cut as far as the delay is above its target', () => {
    const { admission, begin, load, warnings } = overloaded()
    expect(admission.limit).toBeGreaterThanOrEqual(50 / 2)
    expect(admission.limit).toBeLessThanOrEqual(50)
    expect(begin(20)).toBe(20)
    expect(admission.rejected).toBe(20)
    load.running = 10
    expect(begin(20)).toBeLessThan(20)
    expect(warnings).toHaveLength(1)
  })

  it('falls at once as far as the delay is above its target', () => {
    const { admission, begin, turn } = loop({ minRequests: 5 })
    begin(100)
    turn(250, 250)
    expect(admission.limit).toBe(10)
  })

  it('never falls below what is answered within maxLoopDelayMs', () => {
    const { admission, load, begin, turn } = loop()
    begin(1_000)
    // 2 answers per ms, also while the loop is late.
    for (let at = 0; at < 20; at++) {
      load.answered += 2 * 510
      turn(LOOK_MS, 500)
    }
    expect(admission.isLimiting).toBe(true)
    expect(admission.limit).toBe(50)
    turn(3_000, 500)
    expect(admission.limit).toBe(10)
  })

  it('never grows beyond what is answered within the time of the services and the target', () => {
    const { admission, load, begin, turn } = loop()
    /** Services that take 200 ms, and agents that carry one answer per ms; the loop is in time. */
    const serve = (ms: number, delayMs: number): void => {
      for (let left = ms; left > 0; left -= LOOK_MS + delayMs) {
        load.answered += LOOK_MS + delayMs
        turn(LOOK_MS, delayMs)
      }
    }
    begin(200)
    serve(3_000, 0)
    expect(admission.isLimiting).toBe(false)
    begin(600)
    serve(500, 50)
    expect(admission.isLimiting).toBe(true)
    for (let at = 0; at < 100; at++) {
      begin(1_000)
      load.running = admission.limit
      serve(100, 0)
    }
    expect(admission.limit).toBeGreaterThan(200)
    expect(admission.limit).toBeLessThan(350)
    // Any number waits without a target.
    const other = loop({ queueTargetMs: Infinity })
    other.begin(100)
    other.turn(250, 50)
    for (let at = 0; at < 100; at++) {
      other.begin(1_000)
      other.load.answered += 100
      other.turn(100, 0)
    }
    expect(other.admission.limit).toBe(1_000)
  })

  it('never falls below minRequests', () => {
    const { admission, load, begin, turn } = overloaded()
    turn(5_000, 500)
    expect(admission.limit).toBe(10)
    load.running = 0
    expect(begin(11)).toBe(1)
  })

  it('grows while it is reached and the loop is in time', () => {
    const { admission, begin, turn } = overloaded()
    turn(5_000, 500)
    const limits: number[] = []
    for (let at = 0; at < 10; at++) {
      begin(100)
      turn(110, 1)
      limits.push(admission.limit)
    }
    expect(limits).toEqual(limits.toSorted((a, b) => a - b))
    expect(admission.limit).toBeGreaterThan(15)
    expect(admission.limit).toBeLessThan(40)
  })

  it('ends when no request was rejected for a while', () => {
    const { admission, load, begin, turn } = overloaded()
    load.running = 20
    turn(10_000, 0)
    expect(admission.isLimiting).toBe(false)
    expect(begin(900)).toBe(0)
  })

  it('settles where the delay is at its target', () => {
    const { admission, load, begin, turn } = loop()
    begin(1_000)
    // Each running request makes the loop 0.2 ms later.
    for (let at = 0; at < 200; at++) {
      turn(110, load.running * 0.2)
      load.running = Math.min(load.running, admission.limit)
      begin(50)
    }
    expect(admission.limit).toBeGreaterThan(60)
    expect(admission.limit).toBeLessThan(160)
  })

  it('does not count requests that have run for long', () => {
    const { admission, begin, load, turn } = loop()
    load.old = 500
    load.running = 500
    begin(100)
    turn(600, 50)
    expect(admission.limit).toBeGreaterThan(500)
    turn(5_000, 500)
    expect(admission.limit).toBe(510)
    load.running = 500
    expect(begin(20)).toBe(10)
  })

  it('is not set for eight times minRequests, however late the loop is', () => {
    const { admission, begin, turn } = loop()
    expect(begin(80)).toBe(0)
    turn(60_000, 500)
    expect(admission.isLimiting).toBe(false)
    expect(begin(1)).toBe(0)
    turn(1_000, 500)
    expect(admission.isLimiting).toBe(true)
  })

  it('is set for fewer when one visitor in ten gives up, for half a minute', () => {
    const { admission, begin, load, turn } = loop()
    load.visitors = 80
    begin(80)
    turn(1_100, 90)
    for (const givenUp of [9, 0, 10]) {
      expect(admission.isLimiting).toBe(false)
      load.requests += 100
      load.givenUp += givenUp
      turn(1_100, 90)
    }
    expect(admission.isLimiting).toBe(true)
    load.running = 80
    expect(begin(1)).toBe(1)
    for (let second = 0; second < 27; second++) {
      begin(100)
      turn(1_000, 90)
    }
    expect(admission.isLimiting).toBe(true)
    turn(5_000, 90)
    expect(admission.isLimiting).toBe(false)
  })

  it('ends when there are no more connections than are served however late', () => {
    const { admission, begin, load, turn } = overloaded()
    turn(1_000, 500)
    load.visitors = 81
    turn(2_000, 500)
    expect(begin(100)).toBeGreaterThan(0)
    expect(admission.isLimiting).toBe(true)
    load.visitors = load.running = 80
    turn(2_000, 500)
    expect(admission.isLimiting).toBe(false)
    load.running = 0
    expect(begin(80)).toBe(0)
  })

  it('does not count bodies, which maxRequests does', () => {
    const { admission, begin, load, turn } = loop()
    load.bodies = 950
    begin(20)
    turn(5_000, 500)
    expect(admission.isLimiting).toBe(false)
    expect(begin(40)).toBe(10)
  })

  it('is maxRequests at most', () => {
    const { begin } = loop({ maxRequests: 50 })
    expect(begin(60)).toBe(10)
  })

  it('does not depend on the loop when maxLoopDelayMs is Infinity', () => {
    const { admission, begin, isWatched, turn } = loop({ maxLoopDelayMs: Infinity })
    expect(begin(900)).toBe(0)
    turn(5_000, 500)
    expect(isWatched()).toBe(false)
    expect(admission.limit).toBe(1_000)
  })
})
