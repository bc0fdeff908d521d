// What an agent asks for holds at every worker, whichever of them gets a visitor, and from its first visitor on.
import { hashPassword } from '@proj/auth'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { Agent, forward } from '@proj/tunnel'
import { expect, onTestFinished, test } from 'vitest'

import { startServer } from './programs.ts'
import { httpService } from './services.ts'

const PASSWORD = 'correct horse'
/** Visitors, each on a connection of its own. */
const VISITS = 500
/** Those that are there at once. */
const AT_ONCE = 20

/** What visitors without credentials got, and how many of them. */
async function visitAll(port: number): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  let begun = 0
  const visitInTurn = async (): Promise<void> => {
    while (begun < VISITS) {
      begun += 1
      const request = 'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n'
      const { status, headers } = await exchangeRaw(port, request)
      const key = `${status} ${headers['adit-error']}`
      counts[key] = (counts[key] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, visitInTurn))
  return counts
}

/** A server with workers, and an agent whose visitors need a password. */
async function startGuarded() {
  let served = 0
  const service = await httpService((_, response) => {
    served += 1
    response.end('hello')
  })
  const { ports } = await startServer(undefined, ['--workers', '3'])
  const agent = new Agent({ url: `http://127.0.0.1:${ports.upstream}` })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  const visitors = { basicAuth: [{ user: 'ann', verifier: await hashPassword(PASSWORD) }] }
  const to = { host: '127.0.0.1', port: service.port }
  const serve = async (): Promise<void> => {
    await forward(agent, 'web', { kind: 'http', service: to, visitors }).ready()
  }
  return { port: ports.proxy, serve, served: () => served }
}

test('visitors of a new agent are asked for its password from the moment it is ready', async () => {
  const { port, serve, served } = await startGuarded()
  await serve()
  expect(await visitAll(port)).toEqual({ '401 credentials_missing': VISITS })
  expect(served()).toBe(0)
  const user = `authorization: Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}`
  const { status } = await exchangeRaw(
    port,
    `GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n${user}\r\n\r\n`,
  )
  expect([status, served()]).toEqual([200, 1])
})

test('none of those that come while it registers gets in without it', async () => {
  const { port, serve, served } = await startGuarded()
  const visits = visitAll(port)
  await serve()
  const {
    '401 credentials_missing': asked = 0,
    '503 no_upstream': early = 0,
    ...other
  } = await visits
  expect(other).toEqual({})
  expect(asked).toBeGreaterThan(0)
  expect([asked + early, served()]).toEqual([VISITS, 0])
})
