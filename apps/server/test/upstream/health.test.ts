// Agents whose service is down, by their health checks: the server passes them over while others serve.
import { createServer } from 'node:http'

import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { Agent, forward, type Listener } from '@proj/tunnel'
import { expect, onTestFinished, test } from 'vitest'

import { request, startServer } from '../tunnel-fixture.ts'

async function twoAgents() {
  const server = await startServer()
  onTestFinished(() => server.destroy())
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  const port = server.listeners.proxy.bound[0]?.port ?? 0
  const [one, two] = await Promise.all(
    ['one', 'two'].map(async (name): Promise<Listener> => {
      const service = await listening(createServer((_, response) => response.end(name)))
      const agent = new Agent({ url, connections: 1 })
      const listener = forward(agent, 'web', { kind: 'http', service })
      onTestFinished(async () => {
        await agent[Symbol.asyncDispose]()
        await service.close()
      })
      await listener.ready()
      return listener
    }),
  )
  if (one === undefined || two === undefined) throw new Error('two are made')
  /** Asks four times on connections of their own. */
  const ask = async (): Promise<string[]> => {
    const answers: string[] = []
    for (let turn = 0; turn < 4; turn++) {
      const { status, headers, body } = await exchangeRaw(
        port,
        request('GET /', 'Connection: close'),
      )
      answers.push(status === 200 ? body.toString() : `${status} ${headers['adit-error']}`)
    }
    return answers
  }
  return { one, two, ask }
}

test('one down: the other one serves; both down: 502 says that the service is down; then back', async () => {
  const { one, two, ask } = await twoAgents()
  const answers = async (wanted: string): Promise<void> => {
    await until(async () => (await ask()).every((answer) => answer === wanted), { what: wanted })
  }
  expect(new Set(await ask())).toEqual(new Set(['one', 'two']))
  one.setHealth(false)
  await answers('two')
  expect(await ask()).toEqual(['two', 'two', 'two', 'two'])
  two.setHealth(false)
  await answers('502 service_down')
  expect(await ask()).toEqual(Array.from({ length: 4 }, () => '502 service_down'))
  one.setHealth(true)
  await answers('one')
  two.setHealth(true)
  await until(async () => new Set(await ask()).size === 2)
})
