import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'

import { until } from '@proj/testkit/until'
import { expect, it, onTestFinished } from 'vitest'

import { ChannelEngine } from '../../src/engine/channel-engine.ts'
import { readRequest, sendTo } from '../../src/engine/engine-channel.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { EngineHost } from '../../src/engine/engine-host.ts'
import { MemoryDatabase, MemoryEngine } from '../../src/engine/memory-engine.ts'
import { ClusterError } from '../../src/errors.ts'
import { factsOf, named, nodeOf } from '../nodes.ts'
import { lend } from './lent-engine.ts'

const { signal } = new AbortController()

/** Joins a node that serves one name. */
async function serve(engine: Engine, id: string): Promise<void> {
  const node = nodeOf(id)
  await engine.join({ node, head: 0, leaseMs: 600_000, replaces: undefined }, { signal })
  const facts = factsOf('ann')
  const puts = [{ endpoint: named('web'), epoch: 0, isReserved: false, facts }]
  const batch = { node, head: 0, leaseMs: 600_000, beat: 1, puts, removes: [], removeUpTo: 0 }
  await engine.write({ ...batch, isSettled: true, alive: [], epochFloor: 0 }, { signal })
}

/** An engine with one call of our own in place of its `nodes`. */
function withNodes(nodes: Engine['nodes']): Engine {
  const engine = new MemoryEngine(new MemoryDatabase())
  engine.nodes = nodes
  return engine
}

/** An engine whose `nodes` goes on until it is aborted. */
function nodesUntilAborted() {
  const events = new EventEmitter()
  const engine = withNodes(async ({ signal: given }) => {
    const aborted = once(given, 'abort')
    events.emit('begin')
    await aborted
    events.emit('end')
    return []
  })
  return { engine, begun: once(events, 'begin'), ended: once(events, 'end') }
}

it('takes out the node of a process that is gone, and tells the others', async () => {
  const database = new MemoryDatabase()
  const { engine, host, child } = lend(new MemoryEngine(database))
  await serve(engine, 'a')
  const hints: string[] = []
  database.watchers.add((id) => hints.push(id))
  child.disconnect()
  await host.ended
  expect(database.nodes.get('a')).toMatchObject({ hasLeft: true })
  expect(hints).toEqual(['a'])
  await expect(engine.nodes({ signal })).rejects.toMatchObject({
    code: 'CLUSTER_DATABASE_UNREACHABLE',
  })
})

it('leaves the node of an engine alone that was closed, and a later run of the node', async () => {
  const database = new MemoryDatabase()
  const closed = lend(new MemoryEngine(database))
  await serve(closed.engine, 'a')
  await closed.engine.close()
  await closed.host.ended
  const gone = lend(new MemoryEngine(database))
  await serve(gone.engine, 'b')
  const next = new MemoryEngine(database)
  const request = { node: nodeOf('b', 'b-2'), head: 0, leaseMs: 600_000, replaces: undefined }
  await next.join(request, { signal })
  gone.child.disconnect()
  await gone.host.ended
  expect(database.nodes.get('a')).toMatchObject({ hasLeft: false })
  expect(database.nodes.get('b')).toMatchObject({ hasLeft: false })
})

it('rejects what waits when the channel ends or the engine is closed', async () => {
  const calls: ((reason: unknown) => void)[] = []
  const never = async (): Promise<never> => {
    return await new Promise((_, reject) => calls.push(reject))
  }
  for (const code of ['CLUSTER_CLOSED', 'CLUSTER_DATABASE_UNREACHABLE'] as const) {
    const { engine, host, child } = lend(withNodes(never))
    const waiting = engine.nodes({ signal })
    const watching = engine.watch(() => {}, { signal })
    if (code === 'CLUSTER_CLOSED') await engine.close()
    else child.disconnect()
    await expect(waiting).rejects.toMatchObject({ code })
    await expect(watching).rejects.toMatchObject({ code })
    await host.ended
  }
  for (const end of calls) end(new Error('late'))
})

it('gives a call up after its time, and ends it at the host', async () => {
  const { engine: nodes, ended } = nodesUntilAborted()
  const { engine } = lend(nodes, 100)
  await expect(engine.nodes({ signal })).rejects.toMatchObject({
    code: 'CLUSTER_DATABASE_UNREACHABLE',
    retryable: true,
  })
  await ended
  await engine.close()
})

it('ends a call at the host that is aborted', async () => {
  const { engine: nodes, begun, ended } = nodesUntilAborted()
  const { engine } = lend(nodes)
  const patience = new AbortController()
  const call = engine.nodes({ signal: patience.signal })
  await begun
  const reason = new Error('given up')
  patience.abort(reason)
  await expect(call).rejects.toBe(reason)
  await ended
  await engine.close()
})

it('passes errors on with their codes, and names a defect by its class', async () => {
  const details = { sqlState: '42P01', option: 'url' }
  const errors = [
    new ClusterError('CLUSTER_DATABASE_REFUSED', 'no right', details),
    new RangeError('holds a secret'),
  ]
  const lent = lend(withNodes(async () => await Promise.reject(errors.shift())))
  const expected = new ClusterError('CLUSTER_DATABASE_REFUSED', 'no right', details)
  await expect(lent.engine.nodes({ signal })).rejects.toEqual(expected)
  await expect(lent.engine.nodes({ signal })).rejects.toEqual(
    new ClusterError('CLUSTER_DATABASE_FAILED', 'RangeError'),
  )
  await lent.engine.close()
})

it('lets a limited number of calls wait', async () => {
  const { engine, parent, host } = lend(new MemoryEngine(new MemoryDatabase()))
  parent.isFrozen = true
  const waiting = Array.from({ length: 1_000 }, async () => {
    await engine.hint('a', { signal: new AbortController().signal })
  })
  const ends = Promise.allSettled(waiting)
  await expect(engine.hint('a', { signal })).rejects.toMatchObject({
    code: 'CLUSTER_DATABASE_BUSY',
  })
  parent.isFrozen = false
  await engine.close()
  await ends
  await host.ended
})

it('rejects a time out of its range', () => {
  const [channel] = [lend(new MemoryEngine(new MemoryDatabase())).child]
  for (const timeoutMs of [99, 1.5, 600_001]) {
    const failure = expect.objectContaining({ code: 'CLUSTER_OPTION_INVALID', option: 'timeoutMs' })
    expect(() => new ChannelEngine({ channel, timeoutMs })).toThrow(failure)
  }
})

it('ignores messages that are not its own', () => {
  for (const other of [undefined, null, 'text', { type: 'ready' }, []]) {
    expect(readRequest(other)).toBeUndefined()
  }
})

it('answers a call of a newer version with an error', async () => {
  const { child, engine } = lend(new MemoryEngine(new MemoryDatabase()))
  const answered = once(child, 'message')
  sendTo(child, { type: 'call', id: 7, call: 'later' as 'open', args: null })
  const error = { code: 'CLUSTER_DATABASE_FAILED', detail: 'no such call' }
  expect(await answered).toEqual([{ 'adit.engine': { type: 'failure', id: 7, error } }])
  await engine.close()
})

it('works on the channel of a child process, and ends with it', async () => {
  // It sends every message back: both ends are here, and between them is a real channel.
  const script = "process.on('message', (message) => process.send(message))"
  const child = spawn(process.execPath, ['-e', script], { stdio: [0, 1, 2, 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child, 'spawn')
  const database = new MemoryDatabase()
  const host = new EngineHost(new MemoryEngine(database), child)
  const engine = new ChannelEngine({ channel: child, timeoutMs: 60_000 })
  await serve(engine, 'a')
  const page = await engine.changes(
    { nodeId: 'a', after: 0, isSnapshot: true, limit: 10 },
    { signal },
  )
  expect(page?.changes).toMatchObject([{ endpoint: named('web'), facts: factsOf('ann') }])
  // the table keeps one shape of objects
  expect(Object.keys(page?.changes[0]?.facts ?? {})).toContain('rules')
  const hints: string[] = []
  const watching = engine.watch((id) => hints.push(id), { signal }).catch((error: unknown) => error)
  await until(async () => {
    await engine.hint('b', { signal })
    return hints.includes('b')
  })
  child.kill('SIGKILL')
  await host.ended
  expect(database.nodes.get('a')).toMatchObject({ hasLeft: true })
  expect(await watching).toMatchObject({ code: 'CLUSTER_DATABASE_UNREACHABLE' })
})
