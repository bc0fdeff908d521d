// A server that tells of rejected answers more often than ours does: each is a line in the log of the agent.
import { once } from 'node:events'

import { expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { controlOf } from '../protocol/control-peer.ts'
import { startPikoServer } from '../peers.ts'

test('an agent takes 20 rejected answers at once in a session, then two each second', async () => {
  const server = await startPikoServer({ headers: ['adit-protocol: 1'] })
  const agent = new Agent({ url: server.url, connections: 1 })
  onTestFinished(() => agent.destroy())
  const listener = agent.listen('web')
  let taken = 0
  listener.on('malformed', () => (taken += 1))
  const control = await controlOf(await (await server.session(0)).stream())
  control.send({ type: 'hello', software: 's', peer: 'n' })
  const { id } = await control.receive('register')
  control.send({ type: 'registered', id, urls: [] })
  await listener.ready()
  const began = performance.now()
  const shared = once(listener, 'shared')
  for (let at = 0; at < 1000; at++) {
    const about = { requestId: `${at}`, code: 'http_response_lf_bare', message: 'm' }
    control.send({ type: 'malformed', endpoint: 'web', ...about })
  }
  control.send({ type: 'shared', endpoint: 'web', others: 1, otherHosts: 1 })
  await shared
  const seconds = (performance.now() - began) / 1000
  expect(taken).toBeGreaterThanOrEqual(20)
  expect(taken).toBeLessThanOrEqual(20 + Math.ceil(2 * seconds))
})
