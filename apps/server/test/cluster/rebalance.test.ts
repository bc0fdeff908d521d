// How many agents a node asks to move in a second.
import { expect, test } from 'vitest'

import { Rebalancer } from '../../src/cluster/rebalance.ts'

const ON = { threshold: 0.2, shedRate: 0.005, minConns: 50 }

/** Looks once a second for a time; the agents that are asked go to the last of the other nodes. */
function run(options: typeof ON, own: number, others: number[], seconds: number) {
  const moved: number[] = []
  const state = { own }
  using subject = new Rebalancer(options, {
    sessions: () => state.own,
    others: () => others,
    move: (count) => {
      state.own -= count
      others.push((others.pop() ?? 0) + count)
      moved.push(count)
      return count
    },
  })
  for (let second = 0; second < seconds; second++) subject.look(1_000)
  return { own: state.own, moved }
}

test('moves 0.5 % of the average in a second, until the node is near the average', () => {
  // A third node has joined two with 15 000 agents each.
  const first = run(ON, 15_000, [15_000, 0], 1)
  expect(first.moved).toEqual([50])
  const hour = run(ON, 15_000, [15_000, 0], 3_600)
  expect(Math.max(...hour.moved)).toBe(50)
  expect(hour.own).toBe(12_000)
})

test('moves single agents every few seconds where there are few', () => {
  const { moved } = run(ON, 100, [0], 60)
  // The average is 50: one agent in four seconds.
  expect(moved).toEqual(Array.from({ length: 15 }, () => 1))
})

test.for([
  ['is alone', ON, 1_000, []],
  ['has few agents', ON, 49, [0]],
  ['has not much more than the others', ON, 120, [80, 100]],
] as const)('moves none when it %s', ([, options, own, others]) => {
  expect(run(options, own, [...others], 600).moved).toEqual([])
})
