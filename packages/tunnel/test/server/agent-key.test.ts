import { expect, test } from 'vitest'

import {
  agentInTurn,
  agentKeyOf,
  agentKeys,
  formatAgents,
  isAgentList,
  isFullList,
  listsAgent,
  MAX_ROUTE_AGENTS,
} from '../../src/server/agent-key.ts'

const web = { tenant: '', name: 'web' }
const NONE = (): boolean => false

/** Agents of these weights. */
function listOf(...weights: readonly number[]): { readonly keys: string[]; readonly list: string } {
  const keys = weights.map((_, at) => agentKeyOf(web, `agent ${at}`))
  const agents = weights.map((weight, at) => ({ key: keys[at] ?? '', weight }))
  return { keys, list: formatAgents(agents) ?? '' }
}

test('a key fits one agent and one endpoint, at every server', () => {
  const key = agentKeyOf(web, 'a')
  expect(key).toMatch(/^[\w-]{16}$/)
  expect(agentKeyOf({ tenant: '', name: 'web' }, 'a')).toBe(key)
  const others = [
    agentKeyOf(web, 'b'),
    agentKeyOf({ tenant: '', name: 'other' }, 'a'),
    agentKeyOf({ tenant: 'one', name: 'web' }, 'a'),
  ]
  expect(new Set([key, ...others]).size).toBe(4)
})

test('a list has the agents that were put into it, and no others', () => {
  const { keys, list } = listOf(1, 100, 10_000)
  expect([...agentKeys(list)]).toEqual(keys)
  expect(keys.every((key) => listsAgent(list, key))).toBe(true)
  expect(listsAgent(list, agentKeyOf(web, 'another'))).toBe(false)
  // Parts of two agents that stand beside each other.
  expect(listsAgent(list, list.slice(10, 26))).toBe(false)
  expect(formatAgents([])).toBeUndefined()
})

test('a list is bounded, and says when it may lack agents', () => {
  const full = listOf(...Array.from({ length: MAX_ROUTE_AGENTS + 5 }, () => 100)).list
  expect([...agentKeys(full)]).toHaveLength(MAX_ROUTE_AGENTS)
  expect([isAgentList(full), isFullList(full)]).toEqual([true, true])
  const { list } = listOf(...Array.from({ length: MAX_ROUTE_AGENTS - 1 }, () => 100))
  expect([isAgentList(list), isFullList(list)]).toEqual([true, false])
})

test.for([
  '',
  'AAAAAAAAAAAAAAAA',
  'AAAAAAAAAAAAAAAA00100 ',
  'AAAAAAAAAAAA\r\nX:00100',
  'AAAAAAAAAAAAAAAA00100  BBBBBBBBBBBBBBBB00100',
  `${'AAAAAAAAAAAAAAAA00100 '.repeat(64)}AAAAAAAAAAAAAAAA00100`,
])('what another client has written is no list: %j', (text) => {
  expect(isAgentList(text)).toBe(false)
})

test('agents of one weight take turns, others as often as their weights say', () => {
  const even = listOf(100, 100, 100)
  const turns = (list: string, count: number): (string | undefined)[] =>
    Array.from({ length: count }, (_, turn) => agentInTurn(list, turn, NONE))
  expect(turns(even.list, 6)).toEqual([...even.keys, ...even.keys])
  const { keys, list } = listOf(5, 95)
  const first = turns(list, 1_000).filter((key) => key === keys[0]).length
  expect(first).toBeGreaterThan(45)
  expect(first).toBeLessThan(55)
})

test('an agent that is passed over is not chosen, and of none there is none', () => {
  const { keys, list } = listOf(100, 100)
  expect(agentInTurn(list, 0, (key) => key === keys[0])).toBe(keys[1])
  expect(agentInTurn(list, 0, () => true)).toBeUndefined()
})
