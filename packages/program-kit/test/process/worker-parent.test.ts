import { EventEmitter } from 'node:events'

import { expect, test } from 'vitest'

import { WorkerParent } from '../../src/process/worker-parent.ts'

/** The channel of a worker, whose other end is the test. */
class Channel extends EventEmitter {
  connected = true
  readonly sent: unknown[] = []

  send(message: unknown, handle?: unknown): boolean {
    this.sent.push(handle === undefined ? message : { message, handle })
    return true
  }

  disconnect(): void {
    this.connected = false
    this.emit('disconnect')
  }
}

async function worker(): Promise<{ channel: Channel; parent: WorkerParent }> {
  const channel = new Channel()
  const received = WorkerParent.receive(channel, { ADIT_WORKER: '1' })
  channel.emit('message', { type: 'begin', v: 1, id: 2, state: { key: 'x' } })
  const parent = await received
  if (parent === undefined) throw new Error('no parent')
  return { channel, parent }
}

test('a process that is no worker has no parent', async () => {
  expect(await WorkerParent.receive(new Channel(), {})).toBeUndefined()
})

test('the variable of a worker is not passed on', async () => {
  const env = { ADIT_WORKER: '7', HOME: '/' }
  await expect(WorkerParent.receive(new Channel(), env)).rejects.toMatchObject({
    message: 'the parent has version 7 of workers, this program 1',
    exitCode: 1,
  })
  expect(env).toEqual({ HOME: '/' })
})

test('a worker gets its state and its sockets, and sends those back that are asked for', async () => {
  const { channel, parent } = await worker()
  expect(parent).toMatchObject({ id: 2, state: { key: 'x' } })
  const prepared = parent.prepared()
  const socket = (index: number, isCopied: boolean): void => {
    const facts = { name: `n${index}` }
    const message = { type: 'socket', index, isLast: index === 1, isCopied, facts }
    channel.emit('message', message, { fd: 20 + index })
  }
  channel.emit('message', { type: 'other' })
  socket(0, false)
  socket(1, true)
  expect(await prepared).toEqual([
    { name: 'n0', fd: 20 },
    { name: 'n1', fd: 21 },
  ])
  parent.ready()
  expect(channel.sent).toEqual([
    { type: 'prepared' },
    { message: { type: 'copy', index: 1 }, handle: { fd: 21 } },
    { type: 'ready' },
  ])
})

test('a worker without sockets goes on', async () => {
  const { channel, parent } = await worker()
  const prepared = parent.prepared()
  channel.emit('message', { type: 'none' })
  expect(await prepared).toEqual([])
})

test('a worker is told to end while it starts, and that it is replaced', async () => {
  const { channel, parent } = await worker()
  channel.emit('message', { type: 'stop', isReplaced: true })
  expect(await parent.stopped).toEqual({ isReplaced: true })
})

test('a worker whose parent is gone ends', async () => {
  const { channel, parent } = await worker()
  const prepared = parent.prepared()
  channel.disconnect()
  await expect(prepared).rejects.toMatchObject({ message: 'the parent of this worker is gone' })
  expect(await parent.stopped).toEqual({ isReplaced: false })
  parent.ready()
  parent.close()
  expect(channel.sent).toEqual([{ type: 'prepared' }])
  const late = WorkerParent.receive(channel, { ADIT_WORKER: '1' })
  await expect(late).rejects.toMatchObject({ message: 'the parent of this worker is gone' })
})
