import { renameSync, rmSync, symlinkSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import {
  diffSettings,
  loadSettings,
  SettingsReloader,
  type LoadedSettings,
  type ReloadOutcome,
  type SettingsChange,
} from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

type Tree = typeof settings.tree

const GOOD = 'log: {level: info}\nlisteners:\n- {endpoint: a, addr: 1}\n- {endpoint: b, addr: 2}\n'

async function loadText(content: string): Promise<LoadedSettings<Tree>> {
  using files = new Workspace({ 'adit.yaml': content })
  return await loadFrom(files)
}

async function loadFrom(files: Workspace): Promise<LoadedSettings<Tree>> {
  const loaded = await loadSettings(settings, { cwd: files.path, files: ['adit.yaml'] })
  if (!loaded.ok) throw new Error('not loaded')
  return loaded
}

describe('a difference', () => {
  async function diff(before: string, after: string): Promise<readonly SettingsChange[]> {
    const [old, now] = [await loadText(before), await loadText(after)]
    return diffSettings(settings, old.settings, now.settings)
  }

  test('is none between equal settings, however they are written', async () => {
    expect(await diff(GOOD, GOOD)).toEqual([])
    expect(await diff('connect: {timeout: 90s}', 'connect: {timeout: 1m30s}')).toEqual([])
    expect(await diff('', 'log: {level: info}')).toEqual([])
    expect(await diff('connect: {token: a}', 'connect: {token: "a"}')).toEqual([])
  })

  test('names value and effect, secrets masked', async () => {
    const before = 'connect: {timeout: 1s, token: hunter2}\nlog: {level: info}\n'
    const after =
      'connect: {timeout: 2s, token: hunter3, bind_addr: 10.0.0.1}\nlog: {level: warn}\n'
    expect(await diff(before, after)).toEqual([
      {
        key: 'connect.token',
        kind: 'changed',
        reload: 'live',
        before: '[secret]',
        after: '[secret]',
      },
      {
        key: 'connect.bind_addr',
        kind: 'changed',
        reload: 'restart',
        before: '',
        after: '10.0.0.1',
      },
      { key: 'connect.timeout', kind: 'changed', reload: 'restart', before: '1s', after: '2s' },
      { key: 'log.level', kind: 'changed', reload: 'live', before: 'info', after: 'warn' },
    ])
    expect(await diff('', 'connect: {token: x}')).toMatchObject([{ kind: 'added' }])
    expect(await diff('connect: {token: x}', '')).toMatchObject([{ kind: 'removed' }])
  })

  test('of a list is by identity, not by position', async () => {
    const after =
      'listeners:\n- {endpoint: c, addr: 3}\n- {endpoint: b, addr: 2}\n- {endpoint: d, addr: 4}\n'
    expect(await diff(GOOD, after)).toEqual([
      { key: 'listeners[a]', kind: 'removed', reload: 'live' },
      { key: 'listeners[c]', kind: 'added', reload: 'live' },
      { key: 'listeners[d]', kind: 'added', reload: 'live' },
    ])
    expect(await diff(GOOD, GOOD.replace('addr: 2', 'addr: 5'))).toEqual([
      { key: 'listeners[b]', kind: 'changed', reload: 'live' },
    ])
    const [with1, with2] = [GOOD.replace('addr: 2', 'addr: 2, password: x'), GOOD]
    expect(await diff(with1, with1.replace('password: x', 'password: y'))).toHaveLength(1)
    expect(await diff(with1, with2)).toHaveLength(1)
  })

  test('of order alone is none', async () => {
    const after = 'listeners:\n- {endpoint: b, addr: 2}\n- {endpoint: a, addr: 1}\n'
    expect(await diff(GOOD, after)).toEqual([])
  })
})

describe('a reload', () => {
  interface Running {
    readonly reloader: SettingsReloader<Tree>
    readonly applied: SettingsChange[][]
    readonly next: () => Promise<ReloadOutcome<Tree>>
  }

  async function start(files: Workspace, failing = false): Promise<Running> {
    const applied: SettingsChange[][] = []
    const outcomes: ReloadOutcome<Tree>[] = []
    let wake = () => {}
    const reloader = new SettingsReloader<Tree>({
      settings,
      initial: await loadFrom(files),
      load: ({ signal }) =>
        loadSettings(settings, { cwd: files.path, files: ['adit.yaml'], signal }),
      apply: (changes) => {
        if (failing) throw new Error('the port is taken')
        applied.push([...changes])
      },
      onOutcome: (outcome) => {
        outcomes.push(outcome)
        wake()
      },
      quietMs: 10,
    })
    const next = async () => {
      while (outcomes.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return outcomes.shift() ?? { kind: 'unchanged' as const }
    }
    return { reloader, applied, next }
  }

  test('applies what changed and nothing else', async () => {
    using files = new Workspace({ 'adit.yaml': GOOD })
    const { reloader, applied } = await start(files)
    expect(await reloader.reload()).toEqual({ kind: 'unchanged' })
    files.write('adit.yaml', GOOD.replace('info', 'warn'))
    expect(await reloader.reload()).toMatchObject({ kind: 'changed' })
    expect(applied).toEqual([[expect.objectContaining({ key: 'log.level' })]])
    expect(reloader.current.settings.log.level).toBe('warn')
    await reloader.close()
  })

  test('of a wrong file leaves everything as it was and says what is wrong', async () => {
    using files = new Workspace({ 'adit.yaml': GOOD })
    const { reloader, applied } = await start(files)
    files.write('adit.yaml', 'log: {level: loud}\nlisteners: []\n')
    expect(await reloader.reload()).toMatchObject({
      kind: 'invalid',
      problems: [{ key: 'log.level', origin: { line: 1 } }],
    })
    rmSync(`${files.path}/adit.yaml`)
    expect(await reloader.reload()).toMatchObject({ kind: 'invalid' })
    expect(reloader.current.settings.listeners).toHaveLength(2)
    expect(applied).toEqual([])
    files.write('adit.yaml', GOOD)
    expect(await reloader.reload()).toEqual({ kind: 'unchanged' })
    await reloader.close()
  })

  test('reads a file again that is rewritten in place meanwhile', async () => {
    using files = new Workspace({ 'adit.yaml': GOOD })
    const applied: string[] = []
    let rewrites = 0
    const reloader = new SettingsReloader<Tree>({
      settings,
      initial: await loadFrom(files),
      load: async () => {
        const loaded = await loadFrom(files)
        // The editor has emptied the file before this load, and fills it now.
        if (rewrites++ === 0) files.write('adit.yaml', GOOD.replace('info', 'warn'))
        return { ...loaded, ok: true }
      },
      apply: (changes) => void applied.push(...changes.map(({ key }) => key)),
    })
    files.write('adit.yaml', '')
    expect(await reloader.reload()).toMatchObject({ kind: 'changed' })
    expect(applied).toEqual(['log.level'])
    await reloader.close()
  })

  test('that cannot be applied keeps the settings before it', async () => {
    using files = new Workspace({ 'adit.yaml': GOOD })
    const { reloader } = await start(files, true)
    files.write('adit.yaml', GOOD.replace('info', 'warn'))
    const outcome = await reloader.reload()
    expect(outcome).toEqual({ kind: 'failed', error: new Error('the port is taken') })
    expect(reloader.current.settings.log.level).toBe('info')
    await reloader.close()
  })

  test('waits for the one before it', async () => {
    using files = new Workspace({ 'adit.yaml': GOOD })
    const { reloader, applied } = await start(files)
    files.write('adit.yaml', GOOD.replace('info', 'warn'))
    const kinds = (await Promise.all([1, 2, 3].map(() => reloader.reload()))).map(
      ({ kind }) => kind,
    )
    expect(kinds).toEqual(['changed', 'unchanged', 'unchanged'])
    expect(applied).toHaveLength(1)
    await reloader.close()
  })

  test('follows a file that is written, replaced, or swapped behind a link', async () => {
    using files = new Workspace({ 'v1.yaml': GOOD })
    symlinkSync('v1.yaml', `${files.path}/adit.yaml`)
    const { reloader, next } = await start(files)
    await reloader.watch()

    files.write('v1.yaml', GOOD.replace('info', 'warn'))
    expect(await next()).toMatchObject({ kind: 'changed' })

    files.write('v2.yaml', 'log: {level: loud}\n')
    symlinkSync('v2.yaml', `${files.path}/next`)
    renameSync(`${files.path}/next`, `${files.path}/adit.yaml`)
    expect(await next()).toMatchObject({ kind: 'invalid' })

    files.write('v3.yaml', GOOD.replace('info', 'error'))
    renameSync(`${files.path}/v3.yaml`, `${files.path}/v2.yaml`)
    expect(await next()).toMatchObject({ kind: 'changed' })
    expect(reloader.current.settings.log.level).toBe('error')
    await reloader.close()
  })

  test('does not need the directories of optional files', async () => {
    using files = new Workspace({ 'adit.yaml': GOOD })
    const load = () =>
      loadSettings(settings, {
        cwd: files.path,
        optionalFiles: ['absent/adit.yaml'],
        files: ['adit.yaml'],
      })
    const initial = await load()
    if (!initial.ok) throw new Error('not loaded')
    const reloader = new SettingsReloader<Tree>({ settings, initial, load, apply: () => {} })
    await expect(reloader.watch()).resolves.toBeUndefined()
    await reloader.close()
  })

  test('is not caused by other files, and leaves no watcher behind', async () => {
    const watchers = () => process.getActiveResourcesInfo().filter((name) => /FSEvent/.test(name))
    const before = watchers().length
    using files = new Workspace({ 'adit.yaml': GOOD })
    const { reloader, next, applied } = await start(files)
    await reloader.watch()
    files.write('other', 'x')
    files.write('adit.yaml', GOOD.replace('info', 'warn'))
    expect(await next()).toMatchObject({ kind: 'changed' })
    expect(applied).toHaveLength(1)
    await reloader[Symbol.asyncDispose]()
    // That of a test before this one may have been there, and needed a turn more to go, as this one may.
    await expect.poll(() => watchers().length).toBeLessThanOrEqual(before)
  })
})
