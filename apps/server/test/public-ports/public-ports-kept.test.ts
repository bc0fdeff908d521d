// Public ports of reserved names: kept with them in a real file, over a restart of the server.
import { describe, expect, onTestFinished, test } from 'vitest'
import { Agent, releaseName, reservedNames, reserveName } from '@proj/tunnel'
import { type Authorize } from '@proj/tunnel/server'
import { type FreePorts, freePorts } from '@proj/testkit/free-ports'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { memoryStore, openStore, type Store } from '../../src/store/store.ts'
import { Server } from '../../src/server.ts'
import { StoredPorts } from '../../src/public-ports/port-reservations.ts'

const byToken: Authorize = ({ headers }) => ({
  identity: headers.authorization?.replace('Bearer ', '') ?? 'anonymous',
  tenant: '',
  permits: () => true,
})

interface Running {
  readonly store: Store
  /** The server as a peer with this token reaches it. */
  readonly as: (token: string) => { readonly url: string; readonly token: string }
  /** Ends it as a crash would. */
  readonly stop: () => void
}

async function startServer(path: string, range: FreePorts): Promise<Running> {
  const logger = new RecordingLogger()
  const store = openStore(path, { uid: process.geteuid?.(), logger })
  const at = { at: '127.0.0.1:0' }
  const server = await Server.start({
    proxy: at,
    upstream: at,
    admin: at,
    publicPorts: { ranges: [range], holdMs: 0 },
    authorize: byToken,
    software: 'adit-server/test',
    store,
    logger,
  })
  const stop = (): void => {
    server.destroy()
    store.close()
  }
  onTestFinished(stop)
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  return { store, as: (token) => ({ url, token }), stop }
}

async function place() {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return { path: directory.path, range: await freePorts(30) }
}

/** Serves an endpoint on a port and says which it got. */
async function serve(
  { as }: Running,
  token: string,
  endpoint: string,
  publicPort: number,
): Promise<number | undefined> {
  const agent = new Agent({ ...as(token), connections: 1, backoff: { minMs: 1, maxMs: 2 } })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  const listener = agent.listen(endpoint, { kind: 'tcp', publicPort })
  await listener.ready()
  return listener.port
}

describe('the port of a reserved name', () => {
  test('is the same after a restart, though another was the natural choice', async () => {
    const { path, range } = await place()
    const first = await startServer(path, range)
    await reserveName(first.as('alice'), 'pg', { kind: 'tcp' })
    const port = await serve(first, 'alice', 'pg', range.last)
    first.stop()
    const second = await startServer(path, range)
    expect(await serve(second, 'alice', 'pg', 0)).toBe(port)
    expect(await reservedNames(second.as('alice'))).toMatchObject([{ endpoint: 'pg', port }])
  })

  test('is given to no other endpoint, by number or as any, also while no session serves it', async () => {
    const { path } = await place()
    const range = await freePorts(2)
    const first = await startServer(path, range)
    await reserveName(first.as('alice'), 'pg', { kind: 'tcp' })
    await serve(first, 'alice', 'pg', range.first)
    first.stop()
    const second = await startServer(path, range)
    await expect(serve(second, 'bob', 'other', range.first)).rejects.toMatchObject({
      code: 'TUNNEL_PORT_REFUSED',
      holder: 'reservation',
      retryAfterMs: undefined,
    })
    expect(await serve(second, 'bob', 'other', 0)).toBe(range.last)
  })

  test('is free when the name is released', async () => {
    const { path, range } = await place()
    const first = await startServer(path, range)
    await reserveName(first.as('alice'), 'pg', { kind: 'tcp' })
    await serve(first, 'alice', 'pg', range.first)
    await releaseName(first.as('alice'), 'pg')
    first.stop()
    const second = await startServer(path, range)
    expect(await serve(second, 'bob', 'other', range.first)).toBe(range.first)
  })

  test('is kept when the name is reserved while it is served, and reserved again', async () => {
    const { path, range } = await place()
    const server = await startServer(path, range)
    const port = await serve(server, 'alice', 'pg', range.last)
    expect(await reserveName(server.as('alice'), 'pg', { kind: 'tcp' })).toMatchObject({ port })
    server.stop()
    const second = await startServer(path, range)
    expect(await reserveName(second.as('alice'), 'pg', { kind: 'tcp' })).toMatchObject({ port })
    expect(await serve(second, 'alice', 'pg', 0)).toBe(port)
  })

  test('is the new one when its owner asks for another', async () => {
    const { path, range } = await place()
    const first = await startServer(path, range)
    await reserveName(first.as('alice'), 'pg', { kind: 'tcp' })
    await serve(first, 'alice', 'pg', range.first)
    first.stop()
    const second = await startServer(path, range)
    await serve(second, 'alice', 'pg', range.last)
    expect(second.store.reservations.find({ tenant: '', name: 'pg' })).toMatchObject({
      port: range.last,
    })
    expect(await serve(second, 'bob', 'other', range.first)).toBe(range.first)
  })
})

test('the port of a name that is not reserved is not kept', async () => {
  const { path, range } = await place()
  const server = await startServer(path, range)
  await serve(server, 'alice', 'pg', range.first)
  expect(server.store.reservations.list()).toEqual([])
})

test('the audit log has the owner a port gets, and when it is free again', async () => {
  const { path, range } = await place()
  const server = await startServer(path, range)
  const agent = new Agent({ ...server.as('alice'), connections: 1 })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  const listener = agent.listen('pg', { kind: 'tcp', publicPort: range.first })
  await listener.ready()
  await listener.close()
  await server.store.audit.flush()
  const events = (await server.store.audit.read()).filter(({ event }) => event.startsWith('port.'))
  const fields = { endpoint: 'pg', identity: 'alice', port: range.first }
  expect(events.map(({ event }) => event).toSorted()).toEqual(['port.lost', 'port.taken'])
  for (const one of events) expect(one.fields).toMatchObject(fields)
})

test('a store that cannot be written does not keep a port from being served', async () => {
  const logger = new RecordingLogger()
  const { reservations } = memoryStore(logger)
  const owner = { endpoint: { tenant: '', name: 'pg' }, identity: 'alice' }
  const names = { tenant: '', identity: 'alice', endpoint: 'pg' }
  const kept = { ...names, kind: 'tcp', port: undefined, reservedAt: 0 } as const
  await reservations.reserve(kept)
  const ports = new StoredPorts(
    Object.assign(Object.create(reservations) as typeof reservations, {
      find: () => kept,
      list: () => [],
      reserve: () => Promise.reject(new Error('disk full')),
    }),
    logger,
  )
  ports.keep(owner, 9901)
  await expect
    .poll(() => logger.find('public port not stored').map(({ fields }) => fields))
    .toMatchObject([{ port: 9901, endpoint: 'pg' }])
  expect(ports.ownerOf(9901)).toBeUndefined()
})
