import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { configDirectories, findFile } from '../../src/index.ts'
import { Workspace } from '../fixtures/workspace.ts'

const names = ['thing.yaml', 'thing.toml']

describe('findFile', () => {
  test('takes the first name in the first directory, on the way up before the others', async () => {
    using files = new Workspace({
      'a/thing.toml': '',
      'a/b/c/other': '',
      'etc/thing.yaml': '',
      'etc/thing.toml': '',
    })
    const at = (path: string) => join(files.path, path)
    const options = { names, from: at('a/b/c'), stopAt: at('a'), directories: [at('etc')] }
    const up = await findFile(options)
    expect(up.path).toBe(at('a/thing.toml'))
    expect(up.places.map(({ path, found }) => [path.slice(files.path.length + 1), found])).toEqual([
      ['a/b/c/thing.yaml', 'missing'],
      ['a/b/c/thing.toml', 'missing'],
      ['a/b/thing.yaml', 'missing'],
      ['a/b/thing.toml', 'missing'],
      ['a/thing.yaml', 'missing'],
      ['a/thing.toml', 'taken'],
    ])
    expect((await findFile({ ...options, stopAt: at('a/b') })).path).toBe(at('etc/thing.yaml'))
  })

  test('passes over a directory, and over a file below a file', async () => {
    using files = new Workspace({ 'b/thing.toml': '', file: '' })
    mkdirSync(join(files.path, 'a/thing.yaml'), { recursive: true })
    const directories = ['file', 'a', 'b'].map((name) => join(files.path, name))
    const { path, places } = await findFile({ names, directories })
    expect(path).toBe(join(files.path, 'b/thing.toml'))
    expect(places.map(({ found }) => found)).toEqual([
      'missing',
      'missing',
      'directory',
      'missing',
      'missing',
      'taken',
    ])
  })

  test('passes over what cannot be read', async () => {
    using files = new Workspace({ 'b/thing.yaml': '' })
    mkdirSync(join(files.path, 'a'))
    symlinkSync('thing.yaml', join(files.path, 'a/thing.yaml'))
    const directories = ['a', 'b'].map((name) => join(files.path, name))
    const { path, places } = await findFile({ names: ['thing.yaml'], directories })
    expect(path).toBe(join(files.path, 'b/thing.yaml'))
    expect(places.map(({ found }) => found)).toEqual(['unreadable', 'taken'])
  })

  // To read it would wait for its writer.
  test('passes over a pipe', async () => {
    using files = new Workspace({ 'b/thing.yaml': '' })
    mkdirSync(join(files.path, 'a'))
    execFileSync('mkfifo', [join(files.path, 'a/thing.yaml')])
    const directories = ['a', 'b'].map((name) => join(files.path, name))
    const { places } = await findFile({ names: ['thing.yaml'], directories })
    expect(places.map(({ found }) => found)).toEqual(['unreadable', 'taken'])
  })

  test('ends at the root, and after 64 levels', async () => {
    const root = await findFile({ names: ['no-such-file'], from: '/a/b' })
    expect(root.places.map(({ path }) => path)).toEqual([
      '/a/b/no-such-file',
      '/a/no-such-file',
      '/no-such-file',
    ])
    const deep = await findFile({ names: ['no-such-file'], from: `/${'x/'.repeat(100)}` })
    expect(deep.places).toHaveLength(65)
  })

  test.each([
    [{ names: [] }, TypeError],
    [{ names: ['a/b'] }, TypeError],
    [{ names: ['..'] }, TypeError],
    [{ names: ['a'], from: 'b' }, TypeError],
    [{ names: ['a'], directories: ['b'] }, TypeError],
    [{ names: Array.from({ length: 1025 }, (_, index) => `n${index}`), from: '/' }, RangeError],
  ])('refuses %j', async (options, error) => {
    await expect(findFile(options)).rejects.toThrow(error)
  })

  test('ends with the reason of its signal', async () => {
    const signal = AbortSignal.abort(new Error('stop'))
    await expect(findFile({ names, from: '/', signal })).rejects.toThrow('stop')
  })
})

test.each([
  ['linux', { HOME: '/home/a' }, ['/home/a/.config/thing', '/etc/thing']],
  ['darwin', { HOME: '/Users/a', XDG_CONFIG_HOME: '/x' }, ['/x/thing', '/etc/thing']],
  [
    'linux',
    { HOME: '/home/a', XDG_CONFIG_HOME: 'relative' },
    ['/home/a/.config/thing', '/etc/thing'],
  ],
  ['linux', {}, ['/etc/thing']],
  [
    'win32',
    { APPDATA: 'C:\\Users\\a', ProgramData: 'C:\\ProgramData' },
    ['C:\\Users\\a\\thing', 'C:\\ProgramData\\thing'],
  ],
])('configDirectories on %s with %j', (platform, env, wanted) => {
  expect(configDirectories('thing', { env, platform })).toEqual(wanted)
})
