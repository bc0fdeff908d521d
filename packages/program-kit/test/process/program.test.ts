import { EventEmitter } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'

import { aborted, EXIT, runProgram, UserError } from '../../src/index.ts'
import { Capture } from '../capture.ts'

class Host extends EventEmitter {
  readonly stdout = new Capture()
  readonly stderr = new Capture()
}

test('the code of the body is the exit code, and no listener stays', async () => {
  const host = new Host()
  expect(await runProgram('p', host, async () => 4)).toBe(4)
  expect(host.eventNames()).toEqual([])
})

test('a UserError is a sentence and a hint, without a stack', async () => {
  const host = new Host()
  const body = async () => {
    throw new UserError('it is wrong', { exitCode: EXIT.usage, hint: 'make it right' })
  }
  expect(await runProgram('p', host, body)).toBe(EXIT.usage)
  expect(host.stderr.text).toBe('p: it is wrong\n  make it right\n')
})

test('the words of a peer in an error cannot write to the terminal', async () => {
  const host = new Host()
  const body = async () => {
    throw new UserError('refused: \u009b2J\u202e', { exitCode: EXIT.refused, hint: 'a\u001b[m' })
  }
  expect(await runProgram('p', host, body)).toBe(EXIT.refused)
  expect(host.stderr.text).toBe(String.raw`p: refused: \u009b2J\u202e
  a\u001b[m
`)
})

test('anything else is a defect, printed with its stack', async () => {
  const host = new Host()
  const body = async () => {
    throw new Error('a defect')
  }
  expect(await runProgram('p', host, body)).toBe(EXIT.internal)
  expect(host.stderr.text).toMatch(/^p: a defect of ours, please report it\nError: a defect\n +at /)
})

test('the first signal asks to stop, the second to end', async () => {
  const host = new Host()
  const code = runProgram('p', host, async ({ stop, kill }) => {
    host.emit('SIGTERM')
    await aborted(stop)
    expect(kill.aborted).toBe(false)
    host.emit('SIGINT')
    await aborted(kill)
    return EXIT.ok
  })
  expect(await code).toBe(EXIT.ok)
})

test('SIGHUP is heard by those that asked for it, until the program ends', async () => {
  const host = new Host()
  let heard = 0
  await runProgram('p', host, async ({ onReload }) => {
    expect(host.listenerCount('SIGHUP')).toBe(0)
    onReload(() => (heard += 1))
    host.emit('SIGHUP')
    host.emit('SIGHUP')
    return EXIT.ok
  })
  expect(heard).toBe(2)
  expect(host.listenerCount('SIGHUP')).toBe(0)
})

const errorOf = (code: string): Error => Object.assign(new Error(`write ${code}`), { code })

test('a reader of the output that has gone stops the program, which says nothing', async () => {
  const host = new Host()
  const code = runProgram('p', host, async ({ stop }) => {
    host.stdout.emit('error', errorOf('EPIPE'))
    host.stdout.emit('error', errorOf('EPIPE'))
    await aborted(stop)
    return EXIT.ok
  })
  expect(await code).toBe(EXIT.ok)
  expect(host.stderr.text).toBe('')
})

test('an answer that cannot be written is a failure, also behind the last write', async () => {
  const host = new Host()
  const code = runProgram('p', host, async () => {
    process.nextTick(() => host.stdout.emit('error', errorOf('ENOSPC')))
    return EXIT.ok
  })
  expect(await code).toBe(EXIT.failed)
  expect(host.stderr.text).toBe('p: standard output: write ENOSPC\n')
})

test('a program goes on without its log', async () => {
  const host = new Host()
  const code = runProgram('p', host, async ({ stop }) => {
    host.stderr.emit('error', errorOf('EPIPE'))
    return stop.aborted ? EXIT.failed : EXIT.ok
  })
  expect(await code).toBe(EXIT.ok)
})

test('many may wait on the signals without a warning of Node', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  onTestFinished(() => void process.off('warning', onWarning))
  await runProgram('p', new Host(), async ({ stop, kill }) => {
    for (let count = 0; count < 23; count++) {
      for (const signal of [stop, kill]) signal.addEventListener('abort', () => {})
    }
    await turn()
    return EXIT.ok
  })
  expect(warnings).toEqual([])
})
