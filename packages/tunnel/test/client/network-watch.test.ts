import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import {
  NETWORK_INTERVAL_MS,
  type NetworkChange,
  NetworkWatch,
  type ReadInterfaces,
} from '../../src/client/network-watch.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

/** A machine whose addresses a test sets. */
function machine(...first: readonly string[]) {
  let addresses: readonly string[] | undefined = first
  let reads = 0
  const read: ReadInterfaces = () => {
    reads += 1
    if (addresses === undefined) throw new Error('not permitted')
    const info = addresses.map((address) => ({ address }))
    return { eth0: info as unknown as NonNullable<ReturnType<ReadInterfaces>['eth0']> }
  }
  const changes: { gone: string[]; hasCome: boolean }[] = []
  const note = ({ gone, hasCome }: NetworkChange) => changes.push({ gone: [...gone], hasCome })
  const set = (...next: readonly string[]) => {
    addresses = next
    vi.advanceTimersByTime(NETWORK_INTERVAL_MS)
  }
  const fail = () => {
    addresses = undefined
    vi.advanceTimersByTime(NETWORK_INTERVAL_MS)
  }
  let routes: ReadonlySet<string> | undefined
  const route = (next: readonly string[] | undefined) => {
    routes = next && new Set(next)
    vi.advanceTimersByTime(NETWORK_INTERVAL_MS)
  }
  const watch = new NetworkWatch(read, () => routes)
  return { watch, changes, note, set, fail, route, reads: () => reads }
}

test('tells which addresses are gone and whether one has come, once each', () => {
  const { watch, changes, note, set } = machine('127.0.0.1', '192.0.2.1')
  watch.subscribe(note)
  set('127.0.0.1', '192.0.2.1')
  expect(changes).toEqual([])
  set('127.0.0.1')
  set('127.0.0.1')
  set('127.0.0.1', '2001:db8::1')
  set('192.0.2.1')
  expect(changes).toEqual([
    { gone: ['192.0.2.1'], hasCome: false },
    { gone: [], hasCome: true },
    { gone: ['127.0.0.1', '2001:db8::1'], hasCome: true },
  ])
})

test('a link-local address that comes is no news, one that goes is', () => {
  const { watch, changes, note, set } = machine('192.0.2.1')
  watch.subscribe(note)
  set('192.0.2.1', 'fe80::1', '169.254.3.4')
  expect(changes).toEqual([])
  set('192.0.2.1')
  expect(changes).toEqual([{ gone: ['fe80::1', '169.254.3.4'], hasCome: false }])
})

test('a route that comes or goes is a change, one that could not be read before is none', () => {
  const { watch, changes, note, route } = machine('192.0.2.1')
  watch.subscribe(note)
  route(['default via 192.0.2.254'])
  expect(changes).toEqual([])
  route(['default via 192.0.2.254', 'vpn'])
  route(['default via 192.0.2.254', 'vpn'])
  route(['default via 192.0.2.254'])
  route(undefined)
  route([])
  expect(changes).toEqual([
    { gone: [], hasCome: true },
    { gone: [], hasCome: false },
  ])
})

test('addresses that cannot be read have not changed', () => {
  const { watch, changes, note, set, fail } = machine('192.0.2.1')
  watch.subscribe(note)
  fail()
  set('192.0.2.1')
  expect(changes).toEqual([])
  set('192.0.2.2')
  expect(changes).toEqual([{ gone: ['192.0.2.1'], hasCome: true }])
})

test('reads once for all listeners, and not at all without one', () => {
  const { watch, changes, note, set, reads } = machine('192.0.2.1')
  const ends = [watch.subscribe(note), watch.subscribe(note)]
  expect(reads()).toBe(1)
  set('192.0.2.2')
  expect([reads(), changes.length]).toEqual([2, 2])
  for (const end of ends) end()
  set('192.0.2.3')
  expect([reads(), changes.length, vi.getTimerCount()]).toEqual([2, 2, 0])
  // What changed without a listener is no change for the next.
  watch.subscribe(note)
  set('192.0.2.3')
  expect(changes.length).toBe(2)
})
