// What a folder serves while its files are exchanged, cut and extended.
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'

import { openFound } from '../../../src/listeners/folder/folder-path.ts'
import { FolderService } from '../../../src/listeners/folder/folder-service.ts'

const folder = temporaryDirectory()
afterAll(() => folder[Symbol.dispose]())
const root = join(realpathSync(folder.path), 'site')
mkdirSync(join(root, 'sub'), { recursive: true })
mkdirSync(join(folder.path, 'outside'))
writeFileSync(join(folder.path, 'outside/a.txt'), 'SECRET')
writeFileSync(join(root, 'sub/a.txt'), 'the other file')

describe('a file that is another one when it is opened', () => {
  test.each([
    ['it is a link now', () => symlinkSync('sub/a.txt', join(root, 'link.txt')), 'link.txt'],
    ['its folder is a link now', () => symlinkSync('../outside', join(root, 'dir')), 'dir/a.txt'],
    ['it is a folder now', () => mkdirSync(join(root, 'folder')), 'folder'],
    ['it is gone', () => {}, 'nowhere'],
  ])('%s', async (_, make, below) => {
    make()
    expect(await openFound(root, below)).toBeUndefined()
  })

  test.skipIf(process.platform === 'win32')('it is a FIFO now', async () => {
    execFileSync('mkfifo', [join(root, 'fifo')])
    expect(await openFound(root, 'fifo')).toBeUndefined()
  })

  test('it is the same: it is opened', async () => {
    const file = await openFound(root, 'sub/a.txt')
    expect(await file?.readFile('utf8')).toBe('the other file')
    await file?.close()
  })
})

/** Asks on a connection of its own, and stops reading behind the first bytes. */
async function begun(name: string, from = root): Promise<{ near: Duplex; text: () => string }> {
  const service = await FolderService.open(from, false)
  const near = service.connect()
  onTestFinished(() => void near.destroy())
  let text = ''
  near.on('error', () => {})
  near.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  near.once('data', () => near.pause())
  near.write(`GET /${name} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await until(() => text !== '')
  return { near, text: () => text }
}

test('a file that is cut while it is sent breaks the connection, so that no answer is read as its rest', async () => {
  const path = join(root, 'cut.bin')
  writeFileSync(path, Buffer.alloc(4_000_000, 'x'))
  const { near, text } = await begun('cut.bin')
  truncateSync(path, 10)
  near.write('GET /sub/a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
  near.resume()
  await until(() => near.destroyed)
  expect(text()).toContain('Content-Length: 4000000\r\n')
  expect(text()).not.toContain('the other file')
})

test('a file that grows while it is sent ends at the length that was announced', async () => {
  const path = join(root, 'grown.bin')
  writeFileSync(path, Buffer.alloc(1_000_000, 'x'))
  const { near, text } = await begun('grown.bin')
  appendFileSync(path, 'MORE')
  near.write('GET /sub/a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
  near.resume()
  await until(() => text().endsWith('the other file'))
  expect(text()).not.toContain('MORE')
})

describe.skipIf(process.platform !== 'linux')('no file stays open when the connection ends', () => {
  const isOpen = (name: string): boolean =>
    readdirSync('/proc/self/fd').some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === join(root, name)
      } catch {
        return false // closed since the folder was read
      }
    })

  test('while its answer waits behind another one', async () => {
    for (const name of ['sent.bin', 'waits.bin']) writeFileSync(join(root, name), Buffer.alloc(4e6))
    const { near } = await begun('sent.bin')
    near.write('GET /waits.bin HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => isOpen('waits.bin'))
    near.destroy()
    await expect.poll(() => isOpen('sent.bin') || isOpen('waits.bin')).toBe(false)
  })

  test('while its answer waits, before the file is open', async () => {
    for (const name of ['sent.bin', 'late.bin']) writeFileSync(join(root, name), Buffer.alloc(4e6))
    const { near } = await begun('sent.bin')
    await new Promise((resolve) => near.write('GET /late.bin HTTP/1.1\r\nHost: a\r\n\r\n', resolve))
    near.destroy() // the request has arrived
    // Another file, which is asked for later, is sent: this one would be open by now.
    await begun('sub/a.txt')
    await expect.poll(() => isOpen('late.bin')).toBe(false)
  })
})

test.skipIf(process.platform !== 'linux')('a file without a length has no body', async () => {
  // Files of the kernel have content and the length 0, as a log has that is written to between two calls.
  const { near, text } = await begun('status', '/proc/self')
  near.write('DELETE / HTTP/1.1\r\nHost: a\r\n\r\n')
  near.resume()
  await until(() => text().includes('405 Method'))
  expect(text()).toMatch(/Content-Length: 0\r\n[^]*\r\n\r\nHTTP\/1\.1 405 /)
})
