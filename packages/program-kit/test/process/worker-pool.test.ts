import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { text } from 'node:stream/consumers'

import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { WorkerPool, type WorkerPoolOptions } from '../../src/process/worker-pool.ts'

/** A worker that answers each connection with its process id; `STATE` is what it got. */
const WORKER = `
const { createServer } = require('node:net')
const state = { sockets: [] }
const serve = () => {
  let left = state.sockets.length
  const listening = () => { if (left-- === 0) READY }
  listening()
  for (const { fd, name } of state.sockets) {
    const server = createServer((socket) => socket.end(name + ' ' + process.pid))
    server.listen({ fd }, listening)
    state.close = () => server.close()
  }
}
process.on('message', (message, handle) => {
  if (message.type === 'begin') {
    Object.assign(state, message.state)
    PREPARED
  }
  if (message.type === 'none') serve()
  if (message.type === 'socket') {
    state.sockets.push({ ...message.facts, fd: handle.fd })
    if (message.isCopied) process.send({ type: 'copy', index: message.index }, handle)
    if (message.isLast) serve()
  }
  if (message.type === 'stop') STOP
})
process.on('disconnect', () => process.exit(0))
`

/** The program of workers, with other steps than those of one that works. */
function workerOf(steps: Partial<Record<'READY' | 'PREPARED' | 'STOP', string>> = {}): string {
  const all = {
    READY: "process.send({ type: 'ready' })",
    PREPARED: "process.send({ type: 'prepared' })",
    STOP: 'process.exit(0)',
    ...steps,
  }
  return Object.entries(all).reduce((script, [name, step]) => script.replace(name, step), WORKER)
}

interface NamedSocket {
  readonly fd: number
  readonly name: string
}

/** Starts a pool that is killed with the test. */
async function startPool(
  script: string,
  options: Partial<WorkerPoolOptions> = {},
): Promise<{ pool: WorkerPool<NamedSocket>; logger: RecordingLogger }> {
  const logger = new RecordingLogger()
  const pool = await WorkerPool.start<NamedSocket>({
    count: 2,
    command: [process.execPath, '-e', script],
    env: process.env,
    state: () => ({}),
    timeoutMs: 60_000,
    logger,
    ...options,
  })
  onTestFinished(async () => await pool.stop(AbortSignal.abort()))
  return { pool, logger }
}

/** A listening socket of this process, and what closes it. */
async function listener() {
  const server = createServer((socket) => socket.end('parent'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return { port, open: [{ socket: { fd: fdOf(server), name: 'web' }, server }], server }
}

function fdOf(server: Server): number {
  const handle: unknown = Reflect.get(server, '_handle')
  return (handle as { readonly fd: number }).fd
}

/** What the process answers that accepts a connection. */
async function ask(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  return await text(socket)
}

const pidsOf = (pool: WorkerPool<NamedSocket>) => pool.workers.map(({ pid }) => pid)

test('workers share the sockets, and the parent accepts nothing', async () => {
  const { pool } = await startPool(workerOf())
  const { port, open, server } = await listener()
  await pool.open(open, () => void server.close())
  expect(pool.workers).toEqual([
    { id: 1, pid: expect.any(Number), state: 'ready' },
    { id: 2, pid: expect.any(Number), state: 'ready' },
  ])
  expect(pool.sockets).toEqual([{ name: 'web', fd: expect.any(Number) }])
  const answers = pidsOf(pool).map((pid) => `web ${pid}`)
  for (let count = 0; count < 20; count++) expect(answers).toContain(await ask(port))
})

test('the copies of one pool are the sockets of another, which nothing listens on here', async () => {
  const { pool: first } = await startPool(workerOf(), { count: 1 })
  const { port, open, server } = await listener()
  await first.open(open, () => void server.close())
  const { pool: second } = await startPool(workerOf(), { count: 1 })
  await second.open(
    first.sockets.map((socket) => ({ socket })),
    () => {},
  )
  await first.stop(new AbortController().signal)
  expect(first.workers).toEqual([])
  expect(await ask(port)).toBe(`web ${second.workers[0]?.pid}`)
})

test('a worker gets its id and its state', async () => {
  const script = workerOf({ PREPARED: 'process.exit(message.id * 10 + message.state.more)' })
  const failure = startPool(script, { count: 1, state: (id) => ({ more: id + 1 }) })
  await expect(failure).rejects.toMatchObject({
    code: 'WORKER_FAILED',
    message: 'worker 1 ended before it was ready (exit code 12)',
  })
})

test('a worker that does not answer in time is ended, and a program that is missing is an error', async () => {
  await expect(startPool(workerOf({ PREPARED: '' }), { timeoutMs: 300 })).rejects.toMatchObject({
    message: expect.stringMatching(/^worker [12] ended before it was ready \(SIGKILL\)$/),
  })
  const missing = startPool('', { command: ['/nonexistent/program'] })
  await expect(missing).rejects.toMatchObject({
    message: expect.stringMatching(/it cannot be started/),
  })
})

test('a worker that does not send the sockets back in time is ended, and the start with it', async () => {
  const script = workerOf().replace('message.isCopied', 'false')
  const { pool } = await startPool(script, { count: 1, timeoutMs: 3_000 })
  const { open, server } = await listener()
  const opened = pool.open(open, () => void server.close())
  await expect(opened).rejects.toMatchObject({
    message: 'worker 1 ended before it was ready (SIGKILL)',
  })
  expect(pool.workers).toEqual([])
})

test('a worker that fails when it has the sockets ends the start', async () => {
  const { pool } = await startPool(workerOf({ READY: 'process.exit(9)' }), { count: 1 })
  const { open, server } = await listener()
  const opened = pool.open(open, () => void server.close())
  await expect(opened).rejects.toMatchObject({ code: 'WORKER_FAILED' })
  expect(pool.workers).toEqual([])
})

test('a worker that is killed is started again, and no connection is refused meanwhile', async () => {
  const { pool, logger } = await startPool(workerOf())
  const { port, open, server } = await listener()
  await pool.open(open, () => void server.close())
  const before = pidsOf(pool)
  for (const pid of before) process.kill(pid, 'SIGKILL')
  await until(() => pool.deaths === 2)
  const answer = await ask(port) // it waits in the queue for a new one
  await until(() => pool.workers.filter(({ state }) => state === 'ready').length === 2)
  const after = pidsOf(pool)
  expect(after.map((pid) => `web ${pid}`)).toContain(answer)
  expect(after.some((pid) => before.includes(pid))).toBe(false)
  expect(logger.find('worker ended: it is started again')).toHaveLength(2)
})

test('workers that cannot be started any more are given up, behind growing delays', async () => {
  let starts = 0
  const script = workerOf({
    PREPARED: "if (state.n > 1) process.exit(5); process.send({ type: 'prepared' })",
  })
  const state = (): unknown => ({ n: (starts += 1) })
  const { pool, logger } = await startPool(script, { count: 1, state, giveUpAfter: 3 })
  await pool.open([], () => {})
  process.kill(pool.workers[0]?.pid ?? 0, 'SIGKILL')
  await expect(pool.failed).rejects.toMatchObject({ code: 'WORKER_FAILED', exitCode: 1 })
  const delays = logger
    .find('worker ended: it is started again')
    .map(({ fields }) => fields['retryAfterMs'])
  expect(delays).toEqual([0, 100, 200])
  expect(pool.workers).toEqual([])
})

test('all workers are replaced one by one, and there is always one that accepts', async () => {
  const { pool } = await startPool(workerOf())
  const { port, open, server } = await listener()
  await pool.open(open, () => void server.close())
  const before = pidsOf(pool)
  const replaced = pool.replace()
  let isOver = false
  void replaced.finally(() => (isOver = true))
  const answers = new Set<string>()
  while (!isOver) answers.add(await ask(port))
  await replaced
  const after = pidsOf(pool)
  expect(after).toHaveLength(2)
  expect(after.some((pid) => before.includes(pid))).toBe(false)
  expect(answers.has('')).toBe(false)
  expect(pool.deaths).toBe(0)
})

test('a replacement that fails leaves the workers as they are', async () => {
  let starts = 0
  const script = workerOf({
    PREPARED: "if (state.n > 2) process.exit(5); process.send({ type: 'prepared' })",
  })
  const { pool } = await startPool(script, { state: () => ({ n: (starts += 1) }) })
  await pool.open([], () => {})
  const before = pidsOf(pool)
  await expect(pool.replace()).rejects.toMatchObject({
    message: 'worker 1 ended before it was ready (exit code 5)',
  })
  expect(pidsOf(pool)).toEqual(before)
})

test('a stop waits for the workers, and its signal kills them', async () => {
  const slow = workerOf({ STOP: "process.send({ type: 'stopping' })" })
  const { pool } = await startPool(slow)
  await pool.open([], () => {})
  const kill = new AbortController()
  const stopped = pool.stop(kill.signal)
  expect(pool.workers.map(({ state }) => state)).toEqual(['stopping', 'stopping'])
  kill.abort()
  await stopped
  expect(pool.workers).toEqual([])
  expect(pool.deaths).toBe(0)
})

test('a port is free as soon as its workers have closed it, although they still end', async () => {
  const kill = new AbortController()
  const { pool } = await startPool(workerOf({ STOP: 'state.close()' }))
  const { port, open, server } = await listener()
  await pool.open(open, () => void server.close())
  const stopped = pool.stop(kill.signal)
  await until(
    async () =>
      await ask(port).then(
        () => false,
        (error) => error.code === 'ECONNREFUSED',
      ),
  )
  expect(pool.workers).toHaveLength(2)
  kill.abort()
  await stopped
})
