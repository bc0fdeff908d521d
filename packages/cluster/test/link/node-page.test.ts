// What a node gets of the admin pages of another one, and what it does not.
import { setMaxListeners } from 'node:events'

import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'

import { startNodes, type TestNode } from './nodes.ts'

async function twoNodes(): Promise<readonly [TestNode, TestNode]> {
  const [a, b] = await startNodes('a', 'b')
  if (a === undefined || b === undefined) throw new Error('no nodes')
  return [a, b]
}

const never = new AbortController().signal

test('a page comes with its status and type, over the link that visitors use', async () => {
  const [a, b] = await twoNodes()
  const page = { status: 200, type: 'text/plain', body: '/status/edge' }
  expect(await a.links.ask('b', '/status/edge', never)).toEqual(page)
  b.readPage = async () => await Promise.resolve({ status: 404, type: undefined, body: '' })
  expect(await a.links.ask('b', '/status/none', never)).toEqual({ status: 404, body: '' })
  const body = 'x'.repeat(3 * 1024 * 1024)
  b.readPage = async () => await Promise.resolve({ status: 200, type: 'text/plain', body })
  expect((await a.links.ask('b', '/metrics', never)).body).toBe(body)
  expect(b.links.accepted).toMatchObject({ links: 1, hops: 0 })
})

test('a page that is too long, fails or has a long path is refused, and the link goes on', async () => {
  const [a, b] = await twoNodes()
  const refused = { code: 'MUX_STREAM_RESET' }
  const body = 'x'.repeat(4 * 1024 * 1024)
  b.readPage = async () => await Promise.resolve({ status: 200, type: 'text/plain', body })
  await expect(a.links.ask('b', '/metrics', never)).rejects.toMatchObject(refused)
  b.readPage = async () => await Promise.reject(new Error('broken'))
  await expect(a.links.ask('b', '/metrics', never)).rejects.toMatchObject(refused)
  await expect(a.links.ask('b', `/${'x'.repeat(1024)}`, never)).rejects.toMatchObject(refused)
  await expect(a.links.ask('c', '/metrics', never)).rejects.toThrow('no such node')
  expect(b.links.accepted.links).toBe(1)
})

test('one page more than are read at once is refused, and a question can be given up', async () => {
  const [a, b] = await twoNodes()
  let asked = 0
  b.readPage = async () => {
    asked += 1
    return await new Promise(() => {})
  }
  const giveUp = new AbortController()
  setMaxListeners(0, giveUp.signal)
  const answers = Array.from({ length: 16 }, () => a.links.ask('b', '/metrics', giveUp.signal))
  const ended = Promise.allSettled(answers)
  await until(() => asked === 16)
  await expect(a.links.ask('b', '/metrics', never)).rejects.toMatchObject({
    code: 'MUX_STREAM_RESET',
  })
  giveUp.abort(new Error('given up'))
  expect(await ended).toMatchObject(answers.map(() => ({ reason: { message: 'given up' } })))
  expect(asked).toBe(16)
})
