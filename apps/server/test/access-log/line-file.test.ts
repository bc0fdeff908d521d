import { spawnSync } from 'node:child_process'
import { constants, existsSync, readFileSync, renameSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'

import { LineFile } from '../../src/access-log/line-file.ts'

const never = new AbortController().signal
const fail = (error: unknown): void => {
  throw error
}

test('lines are appended, in order, to what was there', async () => {
  using folder = temporaryDirectory()
  const path = folder.write('log', 'before\n')
  const file = await LineFile.open({ path, onProblem: fail })
  const lines = Array.from({ length: 50_000 }, (_, at) => `line ${at}\n`)
  expect(lines.every((line) => file.write(line))).toBe(true)
  await file.close(never)
  expect(readFileSync(path, 'utf8')).toBe(`before\n${lines.join('')}`)
  expect(file).toMatchObject({ written: 50_000, dropped: 0 })
})

test('a file that was renamed is opened again, and no line is lost or doubled', async () => {
  using folder = temporaryDirectory()
  const path = join(folder.path, 'log')
  const file = await LineFile.open({ path, onProblem: fail })
  file.write('one\n')
  await until(() => file.written === 1)
  renameSync(path, `${path}.1`)
  file.write('two\n')
  await until(() => file.written === 2)
  file.reopen()
  file.write('three\n')
  await file.close(never)
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\ntwo\n')
  expect(readFileSync(path, 'utf8')).toBe('three\n')
})

test('a file that cannot be opened again goes on, and the operator is told', async () => {
  using folder = temporaryDirectory()
  const path = join(folder.path, 'log')
  const problems: unknown[] = []
  const file = await LineFile.open({ path, onProblem: (error) => problems.push(error) })
  renameSync(path, `${path}.1`)
  spawnSync('mkdir', [path])
  file.reopen()
  file.write('one\n')
  await file.close(never)
  expect(problems).toMatchObject([{ code: 'EISDIR' }])
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\n')
})

test.runIf(existsSync('/dev/full'))('lines for a full disk are counted as dropped', async () => {
  const problems: unknown[] = []
  const file = await LineFile.open({
    path: '/dev/full',
    onProblem: (error) => problems.push(error),
  })
  file.write('one\n')
  file.write('two\n')
  await until(() => file.dropped === 2)
  expect(problems).toMatchObject([{ code: 'ENOSPC' }])
  expect(file.written).toBe(0)
  await file.close(never)
})

test.runIf(process.platform === 'linux')(
  'a disk that does not take lines makes them wait up to a bound, then they are dropped',
  async () => {
    using folder = temporaryDirectory()
    const path = join(folder.path, 'pipe')
    expect(spawnSync('mkfifo', [path]).status).toBe(0)
    // Its buffer holds 64 KiB; then a write waits for the reader.
    const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const file = await LineFile.open({ path, onProblem: fail, maxQueuedChars: 500_000 })
    const line = `${'x'.repeat(999)}\n`
    const taken = Array.from({ length: 600 }, () => file.write(line)).filter(Boolean)
    expect(taken).toHaveLength(500)
    expect(file.dropped).toBe(100)
    const buffer = Buffer.alloc(65_536)
    let read = 0
    await until(async () => {
      const { bytesRead } = await reader.read(buffer).catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') {
          return { bytesRead: 0 }
        }
        throw error
      })
      read += bytesRead
      return read === 500_000
    })
    await until(() => file.written === 500)
    expect(file.write(line)).toBe(true)
    await until(() => file.written === 501)
    await file.close(never)
    await reader.close()
  },
)

test.runIf(process.platform === 'linux')('a pipe is waited for no longer than asked', async () => {
  using folder = temporaryDirectory()
  const path = join(folder.path, 'pipe')
  expect(spawnSync('mkfifo', [path]).status).toBe(0)
  // Without a reader.
  await expect(LineFile.open({ path, onProblem: fail })).rejects.toMatchObject({ code: 'ENXIO' })
  const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const file = await LineFile.open({ path, onProblem: fail })
  // The pipe holds 64 KiB.
  for (let count = 0; count < 100; count += 1) file.write(`${'x'.repeat(999)}\n`)
  await file.close(AbortSignal.abort())
  await until(() => file.written + file.dropped === 100)
  expect(file.dropped).toBeGreaterThan(0)
  await reader.close()
})

test.runIf(process.platform === 'linux')(
  'a line that was cut by a failure is not continued by the next one',
  async () => {
    using folder = temporaryDirectory()
    const path = join(folder.path, 'pipe')
    expect(spawnSync('mkfifo', [path]).status).toBe(0)
    const flags = constants.O_RDONLY | constants.O_NONBLOCK
    const problems: unknown[] = []
    const first = await open(path, flags)
    const file = await LineFile.open({ path, onProblem: (error) => problems.push(error) })
    const line = `${'x'.repeat(996)}\n` // no end of one is at the end of a page, where a pipe cuts
    for (let count = 0; count < 300; count++) file.write(line)
    let text = ''
    const buffer = Buffer.alloc(65_536)
    const readFrom = async (reader: FileHandle): Promise<void> => {
      const { bytesRead } = await reader.read(buffer).catch(() => ({ bytesRead: 0 })) // EAGAIN
      text += buffer.toString('latin1', 0, bytesRead)
    }
    // The rest does not fit into the pipe: the write goes on, and fails when there is no reader.
    await until(async () => {
      await readFrom(first)
      return text.length >= 65_536
    })
    await first.close()
    await until(() => file.written + file.dropped === 300)
    expect(problems[0]).toMatchObject({ code: 'EPIPE' })
    const second = await open(path, flags)
    file.write('next\n')
    await until(async () => {
      await readFrom(second)
      return text.endsWith('next\n')
    })
    const lines = text.split('\n')
    expect(lines.slice(-2)).toEqual(['next', ''])
    expect(lines.at(-3)?.length).toBeLessThan(996)
    expect(lines.slice(0, -3).every((one) => `${one}\n` === line)).toBe(true)
    const { written } = file
    expect(written).toBe(lines.length - 2)
    await file.close(never)
    await second.close()
  },
)
