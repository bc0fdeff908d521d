import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { describe, expect, it, onTestFinished } from 'vitest'

import { claim } from '../../src/claim/claim-port.ts'
import { parseCliArguments } from '../../src/cli/arguments.ts'
import { formatReport } from '../../src/cli/text.ts'
import { type CliProcess, runCli } from '../../src/cli/cli.ts'
import { findFree } from '../../src/claim/find-free.ts'
import type { Report } from '../../src/report.ts'

describe('portcheck', () => {
  it('prints one line and exits with 0 for a free port', async () => {
    const port = await freePort()
    expect(await run(`127.0.0.1:${port}`)).toEqual({
      code: 0,
      stdout: `127.0.0.1:${port}  free  127.0.0.1:${port} (IPv4)\n`,
      stderr: '',
    })
  })

  it('reports the holder and exits with 1 for a busy port', async () => {
    const port = await heldPort()
    const { code, stdout } = await run(`127.0.0.1:${port}`)
    expect(code).toBe(1)
    expect(stdout).toMatch(
      new RegExp(`^127.0.0.1:${port} {2}busy\n {2}held by {2}this process \\(pid ${process.pid}`),
    )
    expect(stdout).toMatch(/\n {2}free nearby: \d+ \d+ \d+\n$/)
  })

  it.skipIf(!hasForeignSockets)('exits with 3 for a warning only when strict', async () => {
    await using foreign = await foreignSocket({ host: '::1' })
    const want = `127.0.0.1:${foreign.port}`
    const lax = await run(want)
    expect([lax.code, lax.stdout]).toEqual([0, expect.stringContaining('free, with a warning')])
    expect(lax.stdout).toContain(`! PC101  http://localhost:${foreign.port} may open another`)
    expect((await run(want, '--strict')).code).toBe(3)
  })

  it('exits with the highest status of several addresses', async () => {
    const port = await heldPort()
    const { code, stdout } = await run('192.0.2.77:80', `127.0.0.1:${port}`, '--json')
    const verdicts = stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line).bind)
    expect([code, verdicts]).toEqual([4, ['no-address', 'busy']])
  })

  it('prints JSON of a stable form', async () => {
    const port = await freePort()
    const { stdout } = await run(`localhost:${port}`, '--json')
    expect(JSON.parse(stdout)).toEqual({
      v: 1,
      want: `localhost:${port}`,
      endpoints: [
        { host: '127.0.0.1', port, dual: false },
        { host: '::1', port, dual: false },
      ],
      bind: 'free',
      holders: [],
      warnings: [],
      confidence: 'certain',
      platform: process.platform,
      tookMs: expect.any(Number),
    })
  })

  it('prints nothing when quiet', async () => {
    const port = await heldPort()
    expect(await run(`127.0.0.1:${port}`, '--quiet')).toEqual({ code: 1, stdout: '', stderr: '' })
  })

  it('verifies that connections arrive', async () => {
    const port = await freePort()
    const { code, stdout } = await run(`127.0.0.1:${port}`, '--verify')
    expect([code, stdout]).toEqual([0, expect.stringContaining(`\n  127.0.0.1:${port}  arrives\n`)])
  })

  it('finds a free port of a range', async () => {
    const port = await freePort()
    const { code, stdout } = await run('--find', `${port}-${port}`, '127.0.0.1')
    expect([code, stdout]).toEqual([0, `${port}  free  127.0.0.1:${port} (IPv4)\n`])
  })

  it('exits with 1 when the range has none', async () => {
    const port = await heldPort()
    const { code, stderr } = await run('--find', `${port}-${port}`, '127.0.0.1')
    expect([code, stderr]).toEqual([1, `portcheck: no free port for ports ${port} to ${port}\n`])
  })

  it('waits for a busy port', async () => {
    const held = await claim('127.0.0.1:0')
    setImmediate(() => held.destroy())
    expect((await run(`127.0.0.1:${held.port}`, '--wait', '4s')).code).toBe(0)
  })

  it('exits with 1 when the wait is over', async () => {
    const port = await heldPort()
    expect((await run(`127.0.0.1:${port}`, '--wait', '1ms')).code).toBe(1)
  })

  it.each([
    [[], 'no address is given'],
    [['127.1:80'], 'write all four numbers'],
    [['2001:db8::1:8080'], '[2001:db8::1]:8080'],
    [['80', '--nonsense'], "Unknown option '--nonsense'"],
    [['80', '--wait', '10'], '"10" is not a duration, write 500ms, 10s or 2m'],
    [['--find', '20-10'], 'runs backwards'],
    [['--find', '10-20', 'a', 'b'], '--find accepts at most one host'],
    [['80', '81', '--hold'], 'only one address can be held'],
    [['80', '--'], 'there is no command after --'],
    [['unix:/tmp/x'], 'not a TCP address'],
  ])('exits with 2 for %j and shows the right form', async (argv, message) => {
    const { code, stdout, stderr } = await run(...argv)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^portcheck: /)
    expect(stderr).toContain(message)
  })

  it('prints help and version', async () => {
    expect(await run('--help')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Usage: /),
    })
    expect(await run('--version')).toEqual({ code: 0, stdout: '1.2.3\n', stderr: '' })
  })

  it.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['2m', 120_000],
    ['0s', 0],
  ])('reads a wait of %s', (text, waitMs) => {
    expect(parseCliArguments(['80', '--wait', text]).waitMs).toBe(waitMs)
  })

  it('leaves everything after -- to the command', () => {
    const { command, hold, wants } = parseCliArguments([
      '80',
      '--hold',
      '--',
      'npm',
      '--',
      '--help',
    ])
    expect({ command, hold, wants }).toEqual({
      command: ['npm', '--', '--help'],
      hold: true,
      wants: ['80'],
    })
  })
})

describe('formatReport', () => {
  const report: Report = {
    want: '80',
    endpoints: [],
    bind: 'busy',
    holders: [{ host: '::', port: 80, state: 'listening', uid: 33, hiddenBecause: 'permission' }],
    warnings: [],
    confidence: 'certain',
    platform: 'linux',
    tookMs: 1,
  }

  it('reports why there is no process', () => {
    expect(formatReport(report, false)).toBe(
      [
        '80  busy',
        '  held by  a hidden process (user 33) on [::]:80',
        '           its process is not visible to you, try sudo',
      ].join('\n'),
    )
  })

  it('has colours only when set', () => {
    expect(formatReport(report, true)).toContain('\u001b[31mbusy\u001b[39m')
    expect(formatReport(report, false)).not.toContain('\u001b')
  })
})

async function run(...argv: string[]) {
  const output = { stdout: '', stderr: '' }
  const host: CliProcess = {
    argv,
    env: {},
    version: '1.2.3',
    color: false,
    stdout: (text) => {
      output.stdout += text
    },
    stderr: (text) => {
      output.stderr += text
    },
  }
  return { code: await runCli(host), ...output }
}

async function heldPort(): Promise<number> {
  const held = await claim('127.0.0.1:0')
  onTestFinished(() => held.destroy())
  return held.port
}

/** A port outside of the range of outgoing connections. */
async function freePort(): Promise<number> {
  await using held = await findFree({ range: { first: 10_000, last: 30_000 } })
  return held.port
}
