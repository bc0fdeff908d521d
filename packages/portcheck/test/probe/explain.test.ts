import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants, copyFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import {
  foreignSocket,
  type ForeignSocket,
  type ForeignSocketOptions,
  hasForeignSockets,
} from '@proj/testkit/foreign-socket'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'

import { claim } from '../../src/claim/claim-port.ts'
import { explain } from '../../src/probe/explain.ts'
import { findHolders } from '../../src/holders/find-holders.ts'
import { describeHolder } from '../../src/holders/holder.ts'
import { readSetting } from '../../src/probe/blocked-warnings.ts'
import { ephemeralAdvice } from '../../src/probe/port-advice.ts'

const isRoot = process.getuid?.() === 0
const isMissing = process.platform !== 'linux' || !hasForeignSockets

describe.skipIf(isMissing)('explain names the holder', () => {
  it('with process, user, address and age', async () => {
    const foreign = await held({ host: '0.0.0.0' })
    const report = await explain(foreign.port)
    expect(report).toMatchObject({
      bind: 'busy',
      failed: { host: '::', dual: true },
      warnings: [],
      alternatives: expect.any(Array),
    })
    expect(report.holders).toEqual([
      {
        host: '0.0.0.0',
        port: foreign.port,
        state: 'listening',
        uid: process.getuid?.(),
        user: expect.any(String),
        pid: foreign.pid,
        name: expect.stringMatching(/^python/),
        startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      },
    ])
    const ageMs = Date.now() - Date.parse(report.holders[0]?.startedAt ?? '')
    expect(Math.abs(ageMs)).toBeLessThan(60_000)
  })

  it('with its command line only when asked', async () => {
    const foreign = await held({ host: '127.0.0.1' })
    const { holders } = await explain(`127.0.0.1:${foreign.port}`, { commandLine: true })
    expect(holders[0]?.commandLine).toMatch(/python[^ ]* -c /)
  })

  it('as this process', async () => {
    const own = await claim('127.0.0.1:0')
    onTestFinished(() => own.destroy())
    const { holders, bind } = await explain(`127.0.0.1:${own.port}`)
    expect([bind, holders[0]?.relation, holders[0]?.pid]).toEqual(['busy', 'self', process.pid])
  })

  it('on each of its addresses, and not on ports with the same first digits', async () => {
    const foreign = await held({ host: '127.0.0.1' })
    await held({ host: '::1', port: foreign.port })
    const hosts = (await findHolders(foreign.port))?.map((one) => one.host)
    expect(hosts?.toSorted()).toEqual(['127.0.0.1', '::1'])
    expect(await findHolders(Math.floor(foreign.port / 10))).toEqual([])
  })

  it('in the error of a claim that failed', async () => {
    const foreign = await held({ host: '127.0.0.1' })
    const failure = claim(`127.0.0.1:${foreign.port}`)
    await expect(failure).rejects.toMatchObject({
      code: 'PORTCHECK_PORT_BUSY',
      report: { want: `127.0.0.1:${foreign.port}`, holders: [{ pid: foreign.pid }] },
      holder: expect.stringContaining(`(pid ${foreign.pid}, `),
    })
    await expect(failure).rejects.toThrow(
      new RegExp(`EADDRINUSE, held by python[^ ]* \\(pid ${foreign.pid}, `),
    )
  })

  it('only with its user to a user without rights', async (context) => {
    if (!isRoot) context.skip('needs root to become another user')
    const foreign = await held({ host: '127.0.0.1' })
    const { holders } = await asNobody(async () => await explain(`127.0.0.1:${foreign.port}`))
    expect(holders).toEqual([
      {
        host: '127.0.0.1',
        port: foreign.port,
        state: 'listening',
        uid: 0,
        user: 'root',
        hiddenBecause: 'permission',
      },
    ])
  })

  it('with all facts to its own user, and without a command line to others', async (context) => {
    if (!isRoot) context.skip('needs root to become another user')
    const foreign = await held({ host: '127.0.0.1', uid: 65_534 })
    const { holders } = await explain(`127.0.0.1:${foreign.port}`, { commandLine: true })
    expect(holders).toMatchObject([{ uid: 65_534, pid: foreign.pid }])
    expect(holders[0]).not.toHaveProperty('commandLine')
  })

  it('with every unusual character of its name escaped', async () => {
    using directory = temporaryDirectory()
    const program = join(directory.path, 'a) b\u001b[2J\n\u202Ec')
    await copyFile(process.execPath, program, constants.COPYFILE_FICLONE)
    const script = `require('net').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port) })`
    const child = spawn(program, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill())
    const [line] = await once(child.stdout, 'data')
    const [holder] = (await findHolders(Number(String(line)))) ?? []
    expect(holder).toMatchObject({ name: 'a) b\\u{1b}[2J\\u{a}\\u{202e}c', pid: child.pid })
    expect(describeHolder(holder ?? never())).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })
})

describe.skipIf(isMissing)('explain reports why no program listens on a busy port', () => {
  it('PC130: a socket that is bound and does not listen', async () => {
    const foreign = await held({ host: '127.0.0.1', mode: 'bound' })
    expect(await explain(foreign.port)).toMatchObject({
      bind: 'busy',
      holders: [],
      warnings: [{ code: 'PC130', severity: 'info' }],
    })
  })

  it('nothing, for the same with SO_REUSEADDR, which does not block', async () => {
    const foreign = await held({ host: '127.0.0.1', mode: 'bound', reuseAddr: true })
    expect(await explain(`:${foreign.port}`)).toMatchObject({ bind: 'free', holders: [] })
  })

  it('PC131: the local end of a connection', async () => {
    await using peer = await listening(createServer())
    const foreign = await held({ host: '127.0.0.1', mode: 'outgoing', peer: peer.port })
    expect(await explain(foreign.port)).toMatchObject({
      bind: 'busy',
      warnings: [{ code: 'PC131', holder: { pid: foreign.pid, state: 'connected' } }],
    })
    expect((await explain(`[::1]:${foreign.port}`)).bind).toBe('free')
  })

  it('PC132: old connections of a listener that had no SO_REUSEADDR', async () => {
    const port = await leaveTimeWait({ host: '127.0.0.1' })
    expect(await explain(port)).toMatchObject({
      bind: 'busy',
      warnings: [{ code: 'PC132', holder: { state: 'time-wait', hiddenBecause: 'no-owner' } }],
    })
  })

  it('nothing, for old connections of a listener that had it, as Node servers do', async () => {
    const port = await leaveTimeWait({ host: '127.0.0.1', reuseAddr: true })
    const { bind, warnings } = await explain(port)
    expect(bind).toBe('free')
    expect(warnings.filter((one) => one.code !== 'PC140')).toEqual([])
  })

  it('no previous instance, when the same program was started later', async () => {
    const port = await laterInstance()
    const { bind, holders, warnings } = await explain(`127.0.0.1:${port}`)
    expect([bind, holders[0]?.relation, warnings]).toEqual(['busy', undefined, []])
  })

  it('the holder, when its backlog is full', async () => {
    const foreign = await held({ host: '127.0.0.1', mode: 'full' })
    expect(await explain(foreign.port)).toMatchObject({
      bind: 'busy',
      holders: [{ pid: foreign.pid, state: 'listening' }],
    })
  })

  it('PC141: a port that needs rights', async (context) => {
    const start = Number((await readSetting('ip_unprivileged_port_start')) ?? 0)
    if (!isRoot || start < 2) context.skip('needs root to become another user')
    const { bind, warnings } = await asNobody(async () => await explain(`127.0.0.1:1`))
    expect([bind, warnings.map((one) => one.code)]).toEqual(['denied', ['PC141']])
    await expect(asNobody(async () => await claim('127.0.0.1:1'))).rejects.toMatchObject({
      code: 'PORTCHECK_PORT_DENIED',
      errno: 'EACCES',
    })
  })
})

describe.skipIf(isMissing)('explain advises', () => {
  it('PC107: the same port on another address', async () => {
    const foreign = await held({ host: '127.0.0.2' })
    const { bind, warnings } = await explain(`127.0.0.1:${foreign.port}`)
    expect(bind).toBe('free')
    expect(warnings.filter((one) => one.code !== 'PC140')).toMatchObject([
      { code: 'PC107', severity: 'info', endpoint: `127.0.0.2:${foreign.port}` },
    ])
  })

  it('PC140: a port in the range of outgoing connections', async () => {
    const range = ((await readSetting('ip_local_port_range')) ?? '').split(/\s+/).map(Number)
    const [first = 0, last = 0] = range
    const codes = async (port: number): Promise<string[]> =>
      (await ephemeralAdvice(port)).map((one) => one.code)
    expect(await codes(first)).toEqual(['PC140'])
    expect(await codes(last)).toEqual(['PC140'])
    expect(await codes(first - 1)).toEqual([])
    expect(await codes(last + 1)).toEqual([])
  })

  it('nothing about port 0', async () => {
    expect(await explain(0)).toMatchObject({ bind: 'free', holders: [], warnings: [] })
  })
})

async function held(options: ForeignSocketOptions): Promise<ForeignSocket> {
  const foreign = await foreignSocket(options)
  onTestFinished(async () => await foreign.close())
  return foreign
}

/** Leaves a connection in TIME_WAIT on the side of a server that has ended. */
async function leaveTimeWait(options: ForeignSocketOptions): Promise<number> {
  const foreign = await foreignSocket(options)
  await text(connect({ host: options.host, port: foreign.port }))
  await foreign.close()
  await until(async () => {
    const holders = (await findHolders(foreign.port)) ?? []
    return holders.length > 0 && holders.every((one) => one.state === 'time-wait')
  })
  return foreign.port
}

/** Another listening process with the same executable, arguments and working directory. */
async function laterInstance(): Promise<number> {
  const args = [...process.execArgv, ...process.argv.slice(1)]
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const preload = directory.write(
    'preload.cjs',
    `require('module').runMain = () => {}
     require('net').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port) })`,
  )
  const child = spawn(process.execPath, args, {
    env: { ...process.env, NODE_OPTIONS: `--require ${preload}` },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill())
  const [line] = await once(child.stdout, 'data')
  return Number(String(line))
}

/** Runs with the rights of the user nobody. */
async function asNobody<T>(run: () => Promise<T>): Promise<T> {
  process.seteuid?.(65_534)
  try {
    return await run()
  } finally {
    process.seteuid?.(0)
  }
}

function never(): never {
  throw new Error('no holder was found')
}
