import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'

import { patience } from '../../src/index.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('ends after its time, though nobody else holds it and garbage is collected meanwhile', async () => {
  const other = new AbortController()
  const ended = once(patience(100, other.signal), 'abort')
  for (let round = 0; round < 4; round += 1) {
    await delay(10)
    collectGarbage()
  }
  expect(await ended).toHaveLength(1)
})

test('ends with the other signal and its reason, also when that was first', async () => {
  const other = new AbortController()
  const one = patience(Infinity, other.signal)
  expect(one.aborted).toBe(false)
  const reason = new Error('twice')
  other.abort(reason)
  expect(one.reason).toBe(reason)
  expect(patience(1000, other.signal).reason).toBe(reason)
})

test('says in its reason that the time is over', async () => {
  const one = patience(0, new AbortController().signal)
  await once(one, 'abort')
  expect(one.reason).toMatchObject({ message: '0 ms are over' })
})
