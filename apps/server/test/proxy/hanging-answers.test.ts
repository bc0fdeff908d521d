// A service that hangs in the middle of an answer: the visitor has at once what was sent. The rest arrives later, or the
// answer ends as a broken one, whatever tells its end.
import type { Socket } from 'node:net'

import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'

import { type Fixture, request, tunnel } from '../tunnel-fixture.ts'

/** The answer in two parts, and whether the end of the connection is that of the answer. */
const ANSWERS = [
  ['its length', 'Content-Length: 8\r\n\r\npart', 'rest', false],
  ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n', '4\r\nrest\r\n0\r\n\r\n', false],
  ['the end of the connection', '\r\npart', 'rest', true],
] as const

/** A service that sends the first part, and the connections it has. */
async function hanging(part: string, idleTimeoutMs?: number) {
  const services: Socket[] = []
  const path = await tunnel({
    tcp: (socket) => {
      services.push(socket)
      socket.on('error', () => {})
      socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\n${part}`))
    },
    ...(idleTimeoutMs !== undefined && { edge: { idleTimeoutMs } }),
  })
  return { path, services }
}

async function begun(path: Fixture, version: string) {
  const visitor = await path.visit()
  await visitor.send(request('GET /').replace('HTTP/1.1', version))
  expect(await visitor.readTo('part')).toContain(' 200 ')
  return visitor
}

test.each(ANSWERS)('%s: the rest arrives when it is sent', async (_, part, rest, isEnd) => {
  const { path, services } = await hanging(part)
  await using _path = path
  using visitor = await begun(path, 'HTTP/1.1')
  if (isEnd) services[0]?.end(rest)
  else services[0]?.write(rest)
  expect(await visitor.readTo('rest')).not.toContain('HTTP/')
  // The answer is whole: the connection carries another one.
  await visitor.send(request('GET /'))
  expect(await visitor.readTo('part')).toContain(' 200 ')
})

test.each(
  ANSWERS.flatMap((one) =>
    ['HTTP/1.1', 'HTTP/1.0'].map((version) => [one[0], version, one[1]] as const),
  ),
)('%s, %s: an answer that does not go on ends as a broken one', async (_, version, part) => {
  const { path, services } = await hanging(part, 50)
  await using _path = path
  using visitor = await begun(path, version)
  const left = (await visitor.readToEnd()).toString()
  // No last chunk, fewer bytes than the length, and a reset where the end would be that of the answer.
  expect(left.trim()).toBe('')
  const isBare = version === 'HTTP/1.0' && !part.startsWith('Content-Length')
  expect([isBare, await visitor.ended]).toEqual([isBare, isBare ? 'reset' : 'fin'])
  await until(() => services[0]?.destroyed)
})
