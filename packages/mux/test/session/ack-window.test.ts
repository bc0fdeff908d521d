import { expect, test } from 'vitest'

import { AckWindow } from '../../src/session/ack-window.ts'

/** A peer that acknowledges streams as late as it is told; each round trip opens as many as may wait. */
function peer(max = 256, minRttMs?: number) {
  let nowMs = 1_000
  const window = new AckWindow(
    max,
    () => nowMs,
    () => minRttMs,
  )
  const roundTrip = (ms: number, streams = window.limit): number => {
    const opened = Array.from({ length: streams }, () => ({}))
    for (const [at, one] of opened.entries()) window.opened(one, at + 1)
    nowMs += ms
    for (const one of opened) window.acknowledged(one)
    return window.limit
  }
  return { window, roundTrip, pass: (ms: number) => (nowMs += ms) }
}

test('stays at the most while acknowledgements take about as long as a round trip', () => {
  const { roundTrip } = peer()
  for (const ms of [5, 7, 29, 5]) expect(roundTrip(ms)).toBe(256)
  expect(peer(256, 200).roundTrip(220)).toBe(256)
})

test('halves while they are late, to 64 or the most there may be', () => {
  const { roundTrip } = peer()
  roundTrip(5)
  expect([40, 40, 40, 500].map((ms) => roundTrip(ms))).toEqual([128, 64, 64, 64])
  expect(peer(256, 5).roundTrip(40)).toBe(128)
  const small = peer(4, 5)
  expect(small.roundTrip(1000)).toBe(4)
})

test('grows again when they are in time, only while it is reached', () => {
  const { roundTrip } = peer(256, 5)
  for (const ms of [50, 50, 50]) roundTrip(ms)
  expect(roundTrip(10, 20)).toBe(64)
  expect([10, 10, 10].map((ms) => roundTrip(ms))).toEqual([80, 96, 112])
  for (let at = 0; at < 20; at++) roundTrip(10)
  expect(roundTrip(10)).toBe(256)
})

test('does not wait for a stream that was closed', () => {
  const { window, roundTrip, pass } = peer(256, 5)
  const closed = {}
  window.opened(closed, 1)
  window.closed(closed)
  pass(10_000)
  window.acknowledged(closed)
  expect(window.limit).toBe(256)
  expect(roundTrip(50)).toBe(128)
})
