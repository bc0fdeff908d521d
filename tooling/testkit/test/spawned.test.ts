import { getEventListeners } from 'node:events'
import { expect, test, describe } from 'vitest'
import { spawned, type Spawned } from '../src/spawned.ts'
import { until } from '../src/until.ts'

const node = (script: string) => [process.execPath, ['-e', script]] as const
const forever = 'setInterval(() => {}, 1000)'

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('finds a line of either output, whole, whether seen or to come', async () => {
  const child = spawned(
    ...node(`process.stdout.write('rea'); setTimeout(() => console.log('dy 1'), 20);
      console.error('warned'); ${forever}`),
  )
  expect(await child.line(/ready/)).toBe('ready 1')
  expect(await child.line(/ready/)).toBe('ready 1')
  expect(await child.line((line) => line === 'warned')).toBe('warned')
  expect(child.stdout).toBe('ready 1\n')
})

test('parses the JSON line of an event and passes over other lines', async () => {
  const child = spawned(
    ...node(`console.log('{broken'); console.log('{"event":"starting"}');
      console.log('{"event":"ready","port":7}'); ${forever}`),
  )
  expect(await child.event('ready')).toEqual({ event: 'ready', port: 7 })
})

test('rejects with the output when the process ends without the line', async () => {
  const child = spawned(...node(`console.error('the reason'); process.exit(3)`))
  await expect(child.line(/ready/)).rejects.toThrow(/code 3.*the reason/s)
  expect(await child.exited).toEqual({ code: 3, signal: null })
})

test('rejects when the line does not come in time', async () => {
  const child = spawned(...node(forever))
  await expect(child.line(/ready/, { timeoutMs: 20 })).rejects.toThrow(/silent for 20 ms/)
})

test('an aborted wait rejects with the reason and leaves no listener', async () => {
  const child = spawned(...node(forever))
  const controller = new AbortController()
  const wait = child.line(/ready/, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(wait).rejects.toThrow('enough')
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  expect(isAlive(child.pid)).toBe(true)
})

test('a program that does not exist is an ended process with a reason', async () => {
  const child = spawned('/does/not/exist')
  await expect(child.line(/x/)).rejects.toThrow(/ENOENT/)
})

test('a process that ignores SIGTERM is killed after the grace', async () => {
  const child = spawned(...node(`process.on('SIGTERM', () => {}); console.log('up'); ${forever}`))
  await child.line(/up/)
  expect(await child.stop(50)).toEqual({ code: null, signal: 'SIGKILL' })
})

test('output over the bound loses its beginning', async () => {
  const [command, args] = node(`for (let i = 0; i < 2000; i++) console.log('line ' + i)`)
  const child = spawned(command, args, { maxOutputChars: 100 })
  await child.exited
  expect(child.stdout).toHaveLength(100)
  expect(child.stdout.endsWith('line 1999\n')).toBe(true)
  await expect(child.line(/^line 5$/)).rejects.toThrow(/code 0/)
})

test('input reaches the process', async () => {
  const child = spawned(...node(`process.stdin.on('data', (d) => console.log('got ' + d))`))
  child.write('ping', true)
  expect(await child.line(/got/)).toBe('got ping')
})

describe('what a test started', () => {
  let left: Spawned
  test('runs while the test runs', async () => {
    left = spawned(...node(`console.log('up'); ${forever}`))
    await left.line(/up/)
    expect(isAlive(left.pid)).toBe(true)
  })
  test('is gone after it', async () => {
    expect(await until(() => !isAlive(left.pid))).toBe(true)
  })
})
