import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { controlFolder } from '../../src/control/control-folder.ts'

test('control sockets lie where nobody else can enter', () => {
  using folder = temporaryDirectory()
  const env = { XDG_RUNTIME_DIR: folder.path }
  const control = controlFolder(env)
  const path = control.path('1-abc')
  expect(path).toBe(`${folder.path}/adit/1-abc.sock`)
  writeFileSync(path, '')
  writeFileSync(`${folder.path}/adit/other`, '')
  expect(controlFolder(env).sockets()).toEqual([path])
  const temporary = { XDG_RUNTIME_DIR: 'not/absolute', TMPDIR: folder.path }
  const uid = process.getuid?.() ?? 0
  expect(controlFolder(temporary).path('1')).toBe(`${folder.path}/adit-${uid}/1.sock`)
})

test.for([
  ['others may enter it', (at: string) => (mkdirSync(at), chmodSync(at, 0o755))],
  ['it is no folder', (at: string) => symlinkSync('/tmp', at)],
  ['it is no folder', (at: string) => writeFileSync(at, '')],
] as const)('a folder is not used: %s', ([why, make]) => {
  using folder = temporaryDirectory()
  make(`${folder.path}/adit`)
  expect(() => controlFolder({ XDG_RUNTIME_DIR: folder.path })).toThrow(why)
})

test('pipes of Windows are named after the user', () => {
  expect(controlFolder({}, 'win32').path('7-abc')).toMatch(/^\\\\\.\\pipe\\adit-.+-7-abc$/)
})
