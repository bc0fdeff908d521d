// Whether a server that starts is ready: how many of the endpoints of before are back.
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { Agent, forward } from '@proj/tunnel'
import type { Endpoint } from '@proj/tunnel/server'
import { expect, onTestFinished, test } from 'vitest'

import type { ExpectedEndpoints, Server } from '../../src/server.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import type { ReadyOptions } from '../../src/upstream/returning-endpoints.ts'
import { startServer } from '../tunnel-fixture.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

const named = (...names: string[]): Endpoint[] => names.map((name) => ({ tenant: '', name }))

function open(directory: string): Store {
  const store = openStore(directory, { uid: process.geteuid?.(), logger: SILENT })
  onTestFinished(() => store.close())
  return store
}

interface Started {
  readonly server: Server
  readonly logger: RecordingLogger
  readonly store: Store
}

/** A server whose process before it served these endpoints. */
async function startedAfter(
  before: readonly Endpoint[],
  ready: ReadyOptions,
  more: { readonly expected?: ExpectedEndpoints } = {},
): Promise<Started> {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const first = open(directory.path)
  for (const endpoint of before) first.served.set(endpoint, true)
  first.close()
  const logger = new RecordingLogger()
  const store = open(directory.path)
  const server = await startServer({}, [], undefined, {}, { store, ready, logger, ...more })
  onTestFinished(() => server.destroy())
  return { server, logger, store }
}

async function readiness({ listeners }: Server): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${listeners.admin.bound[0]?.port}/ready`)
  return [answer.status, await answer.json()]
}

/** Serves an endpoint. @returns what ends it. */
async function serve({ listeners }: Server, endpoint: string): Promise<Agent> {
  const url = `http://127.0.0.1:${listeners.upstream.bound[0]?.port}`
  const agent = new Agent({ url, connections: 1 })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  await forward(agent, endpoint, { kind: 'http', service: { host: '127.0.0.1', port: 1 } }).ready()
  return agent
}

test('it is ready when the share of the endpoints is back, and stays so', async () => {
  const { server, logger } = await startedAfter(named('a', 'b', 'c'), { endpoints: 60 })
  const counts = { before: 3, back: 0, needed: 2 }
  expect(await readiness(server)).toEqual([
    503,
    { ready: false, state: 'waiting', endpoints: counts },
  ])
  await serve(server, 'new') // was not there before
  const first = await serve(server, 'a')
  expect(await readiness(server)).toEqual([
    503,
    { ready: false, state: 'waiting', endpoints: { ...counts, back: 1 } },
  ])
  await first[Symbol.asyncDispose]()
  await until(() => server.registry.count({ tenant: '', name: 'a' }) === 0)
  await serve(server, 'a') // the same again is not another one
  expect(await readiness(server)).toMatchObject([503, { endpoints: { back: 1 } }])
  const last = await serve(server, 'b')
  const ready = { ready: true, state: 'ready', endpoints: { ...counts, back: 2 } }
  expect(await readiness(server)).toEqual([200, ready])
  await last[Symbol.asyncDispose]()
  await until(() => server.registry.count({ tenant: '', name: 'b' }) === 0)
  expect(await readiness(server)).toEqual([200, ready])
  expect(logger.records.map(({ message }) => message)).toContain('ready: enough endpoints are back')
})

test('without a share it is ready at once, and tells how many are back', async () => {
  const { server } = await startedAfter(named('a', 'b'), {})
  await serve(server, 'b')
  expect(await readiness(server)).toEqual([
    200,
    { ready: true, state: 'ready', endpoints: { before: 2, back: 1, needed: 0 } },
  ])
})

test('after an upgrade it waits for those that the process before was waiting for', async () => {
  const expected = { endpoints: named('a'), startLeftMs: 0 } // visitors do not wait for b any more
  const ready = { endpoints: 100, timeoutMs: 60_000 }
  const { server } = await startedAfter(named('a', 'b'), ready, { expected })
  await serve(server, 'a')
  expect(await readiness(server)).toMatchObject([
    503,
    { state: 'waiting', endpoints: { before: 2, back: 1, needed: 2 } },
  ])
  await serve(server, 'b')
  expect(await readiness(server)).toMatchObject([200, {}])
})

test('ten thousand endpoints of before are counted, written and forgotten', async () => {
  const many = named(...Array.from({ length: 10_000 }, (_, index) => `e${index}`))
  const { server, store } = await startedAfter(many, { endpoints: 90, timeoutMs: 1 })
  await until(async () => (await fetchStatus(server)) === 200)
  expect(await readiness(server)).toMatchObject([
    200,
    { endpoints: { before: 10_000, back: 0, needed: 9_000 } },
  ])
  server.destroy()
  store.close()
  expect(open(pathOf(store).dir).served.before).toEqual([])
})

test('the first server of a directory is ready at once', async () => {
  const { server } = await startedAfter([], { endpoints: 100 })
  expect(await readiness(server)).toEqual([200, { ready: true, state: 'ready' }])
})

test('after ready.timeout it is ready all the same, and the missing ones are forgotten', async () => {
  const { server, logger, store } = await startedAfter(named('a', 'gone'), {
    endpoints: 100,
    timeoutMs: 1,
  })
  await until(async () => (await fetchStatus(server)) === 200)
  expect(logger.records).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      fields: expect.objectContaining({ before: 2, back: 0, needed: 2 }),
    }),
  )
  await serve(server, 'a')
  server.destroy()
  store.close()
  const { dir } = pathOf(store)
  expect(open(dir).served.before).toEqual(named('a'))
})

test('what is served at the end is what the next process waits for', async () => {
  const { server, store } = await startedAfter([], {})
  await serve(server, 'stays')
  const leaver = await serve(server, 'left')
  await leaver[Symbol.asyncDispose]()
  await until(() => server.registry.count({ tenant: '', name: 'left' }) === 0)
  await server.close({ signal: AbortSignal.abort() }) // its agents leave it now
  await until(() => server.registry.count({ tenant: '', name: 'stays' }) === 0)
  store.close()
  expect(open(pathOf(store).dir).served.before).toEqual(named('stays'))
})

test('visitors wait for the endpoints of before, and for no others', async () => {
  const { server } = await startedAfter(named('web'), {})
  const port = server.listeners.proxy.bound[0]?.port ?? 0
  const answers = ['web', 'other'].map(async (name) => {
    const head = `GET / HTTP/1.1\r\nhost: ${name}.localhost\r\nconnection: close\r\n\r\n`
    return (await exchangeRaw(port, head)).status
  })
  expect(await answers[1]).toBe(503)
  await until(() => server.registry.waits.waiting === 1)
  await serve(server, 'web')
  expect(await answers[0]).toBe(502) // there is no service
})

async function fetchStatus({ listeners }: Server): Promise<number> {
  return (await fetch(`http://127.0.0.1:${listeners.admin.bound[0]?.port}/ready`)).status
}

function pathOf({ file = '' }: Store): { dir: string } {
  return { dir: file.slice(0, file.lastIndexOf('/')) }
}
