import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { RestartingProgram } from '../src/restarting-program.mjs'
import { visit } from '../src/sample-service.mjs'
import { watchSources } from '../src/watch-sources.mjs'

// two programs whose sources are transformed as they load: seconds alone, more on a machine that is busy
const START_LIMIT_MS = 120_000
const SLOW = { timeoutMs: START_LIMIT_MS }
const SLOW_TEST = { timeout: START_LIMIT_MS }
const FOREVER = 'setInterval(() => {}, 1000)'

function program(script: string) {
  const lines: string[] = []
  const command = { name: 'child', command: process.execPath, args: ['-e', script] }
  return { lines, started: new RestartingProgram(command, (line) => lines.push(line)) }
}

test(
  'the server and the agent run from the sources, and Ctrl-C ends all without a word',
  async () => {
    const script = join(import.meta.dirname, '../src/dev.mjs')
    const dev = spawned(process.execPath, [script])
    const line = await dev.line(/^Open http/, { timeoutMs: START_LIMIT_MS })
    const url = /http\S+/.exec(line)?.[0] ?? ''
    const answer = await visit(Number(new URL(url).port), url)
    expect(answer).toMatchObject({ status: 200, body: expect.stringContaining('Hello') })
    const before = dev.stdout.length
    dev.kill('SIGINT')
    expect(await dev.exited).toEqual({ code: 0, signal: null })
    expect(dev.stdout.slice(before)).toBe('')
    expect(dev.stderr).toBe('')
    expect(await visit(Number(new URL(url).port), url).catch((e: unknown) => e)).toMatchObject({
      code: 'ECONNREFUSED',
    })
  },
  START_LIMIT_MS,
)

test(
  'a burst of changes is told once, with the files, and other files are not told',
  SLOW_TEST,
  async () => {
    using folder = temporaryDirectory()
    folder.write('a/old.ts', '1')
    const bursts: string[][] = []
    const end = watchSources([folder.path], (files) => bursts.push(files), 1000)
    folder.write('a/old.ts', '2')
    folder.write('notes.md', '2')
    folder.write('new.ts', '2')
    await until(() => bursts.length > 0, SLOW)
    expect(bursts).toEqual([[join(folder.path, 'a/old.ts'), join(folder.path, 'new.ts')]])
    end()
  },
)

test('a program restarts when asked, and says so when it ends by itself', SLOW_TEST, async () => {
  const { lines, started } = program(`console.log('pid ' + process.pid); ${FOREVER}`)
  started.start()
  await until(() => lines.length === 1, SLOW)
  await Promise.all([started.restart(), started.restart()])
  await until(() => lines.length === 2, SLOW)
  expect(new Set(lines).size).toBe(2)
  process.kill(Number(lines[1]?.split(' ').at(-1)), 'SIGKILL')
  await until(() => lines.length === 3, SLOW)
  expect(lines[2]).toBe('child | ended (SIGKILL), starts again after the next change')
  await started.restart()
  await until(() => lines.length === 4, SLOW)
  await started.stop()
  expect(lines).toHaveLength(4)
  await started.restart()
  expect(lines).toHaveLength(4)
})

test(
  'a program that ignores SIGTERM is killed, and its last words are not shown',
  SLOW_TEST,
  async () => {
    using folder = temporaryDirectory()
    const up = join(folder.path, 'up')
    const { lines, started } = program(
      `process.on('SIGTERM', () => console.log('no')); require('fs').writeFileSync('${up}', ''); ${FOREVER}`,
    )
    started.start()
    await until(() => existsSync(up), SLOW)
    await started.stop()
    expect(lines).toEqual([])
  },
)
