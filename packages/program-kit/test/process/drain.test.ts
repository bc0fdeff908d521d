import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'

import { drainOnStop, drainTimes, graceSignal } from '../../src/process/drain.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('ends after its time, though nobody else holds it and garbage is collected meanwhile', async () => {
  const other = new AbortController()
  const ended = once(graceSignal(100, other.signal), 'abort')
  for (let round = 0; round < 4; round += 1) {
    await delay(10)
    collectGarbage()
  }
  expect(await ended).toHaveLength(1)
})

test('ends with the other signal and its reason, also when that was first', async () => {
  const other = new AbortController()
  const one = graceSignal(Infinity, other.signal)
  expect(one.aborted).toBe(false)
  const reason = new Error('twice')
  other.abort(reason)
  expect(one.reason).toBe(reason)
  expect(graceSignal(1000, other.signal).reason).toBe(reason)
})

test('says in its reason that the time is over', async () => {
  const one = graceSignal(0, new AbortController().signal)
  await once(one, 'abort')
  expect(one.reason).toMatchObject({ message: '0 ms are over' })
})

test('many may wait for it: the printers of a desk are more than ten', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  onTestFinished(() => void process.off('warning', onWarning))
  const bounded = graceSignal(1000, new AbortController().signal)
  for (let count = 0; count < 20; count += 1) bounded.addEventListener('abort', () => {})
  await delay(0) // warnings come in the next tick
  expect(warnings).toEqual([])
})

/** The signals of a program, and what it logged and drained. */
function program(gracePeriodMs: number) {
  const [stop, kill] = [new AbortController(), new AbortController()]
  const lines: string[] = []
  const drained: AbortSignal[] = []
  const options = {
    signals: { stop: stop.signal, kill: kill.signal },
    gracePeriodMs,
    logger: { info: (_: object, message: string) => void lines.push(message) },
    drain: async ({ signal }: { readonly signal: AbortSignal }) => {
      drained.push(signal)
      if (!signal.aborted) await once(signal, 'abort')
    },
  }
  return { stop, kill, lines, drained, options }
}

test('a program drains after the first signal, until the second', async () => {
  const { stop, kill, lines, drained, options } = program(Infinity)
  const ended = drainOnStop(options)
  await Promise.resolve()
  expect(drained).toEqual([])
  stop.abort()
  await delay(20)
  expect(drained).toHaveLength(1)
  expect(drained[0]?.aborted).toBe(false)
  expect(lines).toEqual(['stopping: open connections may finish'])
  kill.abort()
  await ended
})

test('a program drains no longer than its grace period', async () => {
  const { stop, drained, options } = program(10)
  stop.abort()
  await drainOnStop(options)
  expect(drained.map(({ aborted }) => aborted)).toEqual([true])
})

test('a program that cannot go on ends without a drain', async () => {
  const { drained, options } = program(Infinity)
  const failures = [new Promise<never>(() => {}), Promise.reject(new Error('refused'))]
  await expect(drainOnStop({ ...options, failures })).rejects.toThrow('refused')
  expect(drained).toEqual([])
})

test.for([
  ['SIGTERM', {}, { delayMs: 5_000, idleMs: 1_000, longLivedMs: 30_000 }],
  ['a person at a terminal', { isInterrupted: true }, { longLivedMs: 30_000 }],
  ['a successor that serves already', { isReplaced: true }, { longLivedMs: 58_000 }],
] as const)('the times of a drain after %s', ([, how, times]) => {
  const drain = { delayMs: 5_000, idleMs: 1_000, longLivedMs: 30_000 }
  const all = { isReplaced: false, isInterrupted: false, ...how }
  expect(drainTimes({ drain, gracePeriodMs: 60_000 }, all)).toEqual(times)
})

test('long-lived connections are closed before the grace period is over', () => {
  const drain = { longLivedMs: Infinity }
  const how = { isReplaced: false, isInterrupted: false }
  expect(drainTimes({ drain, gracePeriodMs: 10_000 }, how)).toEqual({ longLivedMs: 8_000 })
  expect(drainTimes({ drain, gracePeriodMs: 1_000 }, how)).toEqual({ longLivedMs: 0 })
})
