import { appendFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect, onTestFinished, test } from 'vitest'

import { FileWatch } from '../../src/index.ts'
import { Workspace } from '../fixtures/workspace.ts'

/** Watches files of a folder, and counts what is told. */
async function watched(files: readonly string[], quietMs = 20) {
  const told = { times: 0 }
  const watch = new FileWatch({ files, quietMs, onChange: () => (told.times += 1) })
  onTestFinished(() => watch.close())
  await watch.start()
  return { watch, told }
}

test('a link that is swapped for another, as certbot does, is a change', async () => {
  using folder = new Workspace({ 'archive/one': '1', 'archive/two': '2', 'live/README': '' })
  const link = join(folder.path, 'live/cert.pem')
  symlinkSync('../archive/one', link)
  const { told } = await watched([link])
  symlinkSync('../archive/two', `${link}.new`)
  renameSync(`${link}.new`, link)
  await expect.poll(() => told.times).toBe(1)
})

test('a directory that is swapped behind a link, as Kubernetes does, is a change', async () => {
  using folder = new Workspace({ '..1/tls.crt': '1', '..2/tls.crt': '2' })
  symlinkSync('..1', join(folder.path, '..data'))
  symlinkSync('..data/tls.crt', join(folder.path, 'tls.crt'))
  const { told } = await watched([join(folder.path, 'tls.crt')])
  symlinkSync('..2', join(folder.path, '..new'))
  renameSync(join(folder.path, '..new'), join(folder.path, '..data'))
  await expect.poll(() => told.times).toBe(1)
})

test('the target of a link in another directory is watched, also after a swap', async () => {
  using folder = new Workspace({ 'a/cert': '1', 'b/cert': '2', 'live/README': '' })
  const link = join(folder.path, 'live/cert')
  symlinkSync('../a/cert', link)
  const { told } = await watched([link])
  writeFileSync(join(folder.path, 'a/cert'), 'other')
  await expect.poll(() => told.times).toBe(1)
  symlinkSync('../b/cert', `${link}.new`)
  renameSync(`${link}.new`, link)
  await expect.poll(() => told.times).toBe(2)
  writeFileSync(join(folder.path, 'b/cert'), 'once more')
  await expect.poll(() => told.times).toBe(3)
})

test('a change in a directory that never comes to rest is told all the same', async () => {
  using folder = new Workspace({ cert: '1', log: '' })
  const { told } = await watched([join(folder.path, 'cert')], 30)
  const writing = setInterval(() => appendFileSync(join(folder.path, 'log'), 'x'), 5)
  onTestFinished(() => clearInterval(writing))
  writeFileSync(join(folder.path, 'cert'), 'other')
  await expect.poll(() => told.times).toBe(1)
})

test('other files are followed instead', async () => {
  using folder = new Workspace({ 'a/one': '1', 'b/two': '1' })
  const [one, two] = [join(folder.path, 'a/one'), join(folder.path, 'b/two')]
  const { watch, told } = await watched([one])
  await watch.follow([two])
  writeFileSync(one, 'other')
  writeFileSync(two, 'other')
  await expect.poll(() => told.times).toBe(1)
  watch.close()
  writeFileSync(two, 'yet another')
  expect(told.times).toBe(1)
})
