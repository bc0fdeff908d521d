// More visitors than there is room for, slow ones, and ones at the wrong moment.
import { Agent } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

import { until } from '@proj/testkit/until'

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

const SLOW_BODIES = 4000
/** Connections that are begun at once. */
const SLOW_BODIES_BURST = 25
/** Between two such groups: a burst of new connections costs CPU time, and is not what is looked at. */
const BURST_PAUSE_MS = 100
/** All of them send a byte within this time. */
const BYTE_MS = 3000
const ATTACKER = '127.0.0.3'
const ATTACK_MS = 15_000
/** Longest time until all of them have ended. */
const ENDED_MS = 90_000
/** Longest p99 of the others. Their requests take up to 20 ms in the service; the rest is for a busy machine. */
const OTHERS_P99_MS = 5000

export const SLOW_BODIES_OF_ONE: Scenario = {
  name: 'slow-bodies',
  fault: 'one address sends 4000 bodies at a byte each 3 s to one endpoint of the agent',
  expects:
    'the other endpoints, and other visitors of the same, are served; the slow ones end with 408 or 429',
  stage: {
    endpoints: ['slow'],
    server: { args: ['--proxy.min-rate-grace=25s', '--proxy.max-loop-delay=inf'] },
  },
  load: { from: '127.0.0.2' },
  minOkShare: 0.98,
  async act(scene) {
    do {
      const since = performance.now()
      const slow = new SlowBodies(scene.stage.targets.http.port)
      const sending = setInterval(() => slow.sendSome(), 100)
      try {
        await slow.open(SLOW_BODIES)
        const { streams } = await scene.stage.level()
        scene.figures['streams of the slow ones, most'] = streams
        // another address asks the endpoint that is attacked
        const host = 'slow.localhost'
        const target = { ...scene.stage.targets.http, host, from: '127.0.0.2' }
        const probe = await scene.load.one({ method: 'GET', up: 0, down: 1024 }, target)
        scene.check(probe.verdict === 'ok', `the attacked endpoint: ${probe.detail}`)
        await delay(ATTACK_MS)
        await until(() => slow.unanswered === 0, { timeoutMs: ENDED_MS, pollMs: 100 })
      } finally {
        clearInterval(sending)
      }
      const others = scene.load.outcomes.filter(({ startedAt }) => startedAt >= since)
      const bad = others.filter(({ verdict }) => verdict !== 'ok')
      const p99 = quantile(others.map(tookMs), 0.99)
      scene.check(
        bad.length === 0,
        `${bad.length} of ${others.length} others lost: ${bad[0]?.detail}`,
      )
      scene.check(p99 < OTHERS_P99_MS, `p99 of the others: ${p99.toFixed(0)} ms`)
      scene.figures['others'] = others.length
      scene.figures['p50 of the others, ms'] = quantile(others.map(tookMs), 0.5)
      scene.figures['p99 of the others, ms'] = p99
      for (const [answer, count] of slow.answers) scene.figures[`slow ones: ${answer}`] = count
      const ended = slow.answers.get('408 body_too_slow') ?? 0
      scene.check(ended > 0, 'no slow body was ended')
      slow.destroy()
      await scene.recovered(performance.now())
    } while (!scene.isOver)
  },
}

/** Requests of one address whose bodies come a byte at a time. */
class SlowBodies {
  /** How many got which answer. */
  readonly answers = new Map<string, number>()
  readonly #port: number
  readonly #sockets: Socket[] = []
  readonly #answered = new Set<Socket>()
  #next = 0

  constructor(port: number) {
    this.#port = port
  }

  get unanswered(): number {
    return this.#sockets.length - this.#answered.size
  }

  /** Begins so many; each is connected when this returns. */
  async open(count: number): Promise<void> {
    for (let at = 0; at < count; at += SLOW_BODIES_BURST) {
      const burst = Math.min(SLOW_BODIES_BURST, count - at)
      await Promise.all(Array.from({ length: burst }, async () => await this.#begin()))
      await delay(BURST_PAUSE_MS)
    }
  }

  /** Sends a byte on each of the next ones: on all of them once in BYTE_MS, when called each 100 ms. */
  sendSome(): void {
    const share = Math.ceil((this.#sockets.length * 100) / BYTE_MS)
    for (let sent = 0; sent < share; sent++) {
      const socket = this.#sockets[this.#next++ % this.#sockets.length]
      if (socket !== undefined && socket.writable && !this.#answered.has(socket)) socket.write('x')
    }
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async #begin(): Promise<void> {
    const socket = connect({ port: this.#port, host: '127.0.0.1', localAddress: ATTACKER })
    this.#sockets.push(socket)
    let text = ''
    const end = (answer: string): void => {
      if (this.#answered.has(socket)) return
      this.#answered.add(socket)
      this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1)
      socket.destroy()
    }
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (!text.includes('\r\n\r\n')) return
      const code = /^adit-error: (\S+)/im.exec(text)?.[1] ?? ''
      end(`${text.slice(9, 12)} ${code}`)
    })
    socket.on('close', () => end('no answer'))
    const connected = new Promise<void>((resolve) => {
      socket.on('error', () => resolve())
      socket.on('connect', () => resolve())
    })
    socket.write(
      'POST /slow?down=1 HTTP/1.1\r\nHost: slow.localhost\r\nContent-Length: 100000\r\n\r\n',
    )
    await connected
  }
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
