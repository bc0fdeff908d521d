import { expect, test } from 'vitest'
import { spawned } from '@proj/testkit/spawned'
import { until } from '@proj/testkit/until'
import { StartedProcess } from '../src/started-process.mjs'

const start = (script: string) => new StartedProcess('child', process.execPath, ['-e', script])
const forever = 'setInterval(() => {}, 1000)'

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('gives the event lines and stops by pid', async () => {
  const child = start(`console.log('noise\\n{"event":"ready","port":7}'); ${forever}`)
  expect(await child.event('ready')).toEqual({ event: 'ready', port: 7 })
  await child.stop()
  expect(isAlive(child.pid)).toBe(false)
})

test('an end before the event is told with the output', async () => {
  const child = start(`console.error('port 8000 is taken'); process.exit(2)`)
  await expect(child.event('ready')).rejects.toThrow(/child ended .*port 8000 is taken/s)
})

test('silence has a bound', async () => {
  const child = start(forever)
  await expect(child.event('ready', 20)).rejects.toThrow('was silent for 20 ms')
  await child.stop()
})

test('a program that does not exist is an error', async () => {
  const child = new StartedProcess('ghost', '/does/not/exist', [])
  await expect(child.event('ready')).rejects.toThrow('ENOENT')
})

test('children end with the script, however it ends', async () => {
  const module = JSON.stringify(`${import.meta.dirname}/../src/started-process.mjs`)
  const script = `
    import { StartedProcess } from ${module}
    const child = new StartedProcess('child', process.execPath, ['-e', '${forever}'])
    console.log('child ' + child.pid)
    setTimeout(() => { throw new Error('broken') }, 50)`
  const parent = spawned(process.execPath, ['--input-type=module', '-e', script])
  const pid = Number((await parent.line(/child \d+/)).split(' ')[1])
  expect((await parent.exited).code).toBe(1)
  expect(await until(() => !isAlive(pid))).toBe(true)
})
