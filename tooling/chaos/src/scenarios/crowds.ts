// More visitors than there is room for, slow ones, and ones at the wrong moment.
import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

import type { Outcome } from '../exchange.ts'
import type { Scenario, Scene } from '../scenario.ts'

const OVERLOAD_SECONDS = 6
const PROBE_SECONDS = 2
const FIRST_RATE = 100
const MAX_RATE = 12_800
/** Below this share of the offered rate the peak is passed. */
const ENOUGH = 0.7

export const OVERLOAD: Scenario = {
  name: 'overload',
  fault: 'an open stream of requests at twice the rate that was reached before',
  expects: 'the surplus gets 503 within a moment, the others are served, nothing hangs',
  // without its compilers the server is the slowest part, not the client of this process
  stage: { server: { node: ['--jitless'] } },
  load: false,
  minOkShare: 0.2,
  async act(scene) {
    const peak = await capacity(scene)
    scene.figures['peak, requests/s'] = peak
    do {
      const first = scene.load.outcomes.length
      const since = performance.now()
      const busy = performance.eventLoopUtilization()
      await scene.load.open(2 * peak, OVERLOAD_SECONDS)
      const offered = performance.now() - since
      await drained(scene)
      const outcomes = scene.load.outcomes.slice(first)
      const served = outcomes.filter(({ verdict, endedAt }) => {
        return verdict === 'ok' && endedAt < since + offered
      })
      const shed = outcomes.filter(({ detail }) => detail.startsWith('503')).map(tookMs)
      const goodput = served.length / (offered / 1000)
      scene.figures['offered, requests/s'] = outcomes.length / (offered / 1000)
      scene.figures['goodput, requests/s'] = goodput
      scene.figures['503'] = shed.length
      scene.figures['p95 of 503, ms'] = quantile(shed, 0.95)
      scene.figures['p99 of 200, ms'] = quantile(served.map(tookMs), 0.99)
      scene.check(
        goodput > peak / 4,
        `goodput ${goodput.toFixed(0)}/s of a peak of ${peak.toFixed(0)}/s`,
      )
      scene.figures['event loop of the load, busy'] =
        performance.eventLoopUtilization(busy).utilization
      const again = performance.now()
      const one = await scene.load.one({ method: 'GET', up: 0, down: 1024 })
      scene.check(one.verdict === 'ok', `behind the overload: ${one.verdict} ${one.detail}`)
      scene.recoveriesMs.push(performance.now() - again)
    } while (!scene.isOver)
  },
}

const SLOW_PEERS_COUNT = 400
const STAGGER_MS = 15
const WATCH_MS = 8000
const SLOW_MS = 15_000
const SLOW_READER = { method: 'GET', up: 0, down: 2 * 1024 * 1024, slowMs: SLOW_MS } as const
const SLOW_WRITER = { method: 'POST', up: 64 * 1024, down: 64, slowMs: SLOW_MS } as const

export const SLOW_PEERS: Scenario = {
  name: 'slow-peers',
  fault: '200 visitors that read slowly and 200 that write slowly, beside others',
  expects: 'the others notice nothing; slow ones end in order or with an error',
  minOkShare: 0.6,
  async act(scene) {
    do {
      const slow: Promise<Outcome>[] = []
      // one after another: together, their first bytes are a burst that is not slow at all
      for (let at = 0; at < SLOW_PEERS_COUNT; at++) {
        const task = at % 2 === 0 ? SLOW_READER : SLOW_WRITER
        const target = { ...scene.stage.targets.http, agent: new Agent({ keepAlive: false }) }
        slow.push(scene.load.one(task, target))
        await delay(STAGGER_MS)
      }
      const since = performance.now()
      await delay(WATCH_MS)
      const others = scene.load.outcomes.filter(({ task, startedAt }) => {
        return task.slowMs === undefined && startedAt >= since
      })
      const bad = others.filter(({ verdict }) => verdict !== 'ok')
      scene.check(
        bad.length <= others.length / 50,
        `${bad.length} of ${others.length} others lost; first: ${bad[0]?.task.id} ${bad[0]?.detail}`,
      )
      scene.figures['p50 of the others, ms'] = quantile(others.map(tookMs), 0.5)
      scene.figures['p99 of the others, ms'] = quantile(others.map(tookMs), 0.99)
      scene.figures['server, MiB'] = scene.stage.server.level().rssBytes / 1024 / 1024
      const done = await Promise.all(slow)
      scene.figures['slow ones ok'] = done.filter(({ verdict }) => verdict === 'ok').length
      await scene.recovered(performance.now())
    } while (!scene.isOver)
  },
}

const KEEP_ALIVE_MS = 1000

export const KEEP_ALIVE_RACE: Scenario = {
  name: 'keep-alive-race',
  fault: 'a service that closes connections after 1 s, and POSTs once in a second',
  expects: 'no POST is executed twice, and next to none is lost',
  stage: { keepAliveMs: KEEP_ALIVE_MS },
  load: false,
  minOkShare: 0.98,
  async act(scene) {
    const visitors = Array.from({ length: 60 }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const target = { ...scene.stage.targets.http, agent }
      do {
        await scene.load.one({ method: 'POST', up: 100, down: 100 }, target)
        await delay(KEEP_ALIVE_MS - 6 + scene.random.between(0, 12))
      } while (!scene.isOver)
      agent.destroy()
    })
    await Promise.all(visitors)
  },
}

/** The most requests per second that were answered, found by rates that double until they are not all. */
async function capacity(scene: Scene): Promise<number> {
  let peak = 0
  for (let rate = FIRST_RATE; rate <= MAX_RATE; rate *= 2) {
    const first = scene.load.outcomes.length
    const since = performance.now()
    await scene.load.open(rate, PROBE_SECONDS)
    await drained(scene)
    const tookSeconds = (performance.now() - since) / 1000
    const ok = scene.load.outcomes.slice(first).filter(({ verdict }) => verdict === 'ok')
    const goodput = ok.length / tookSeconds
    peak = Math.max(peak, goodput)
    if (goodput < rate * ENOUGH) break
  }
  return peak
}

/** Waits for the ends of all exchanges; each ends at the latest when it counts as hung. */
async function drained(scene: Scene): Promise<void> {
  while (scene.load.pending.size > 0) await delay(20)
}

function tookMs({ startedAt, endedAt }: Outcome): number {
  return endedAt - startedAt
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
