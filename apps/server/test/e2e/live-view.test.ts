// The live view on a real terminal, made by Python's pty: a program that is asked for its state by eye.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { connectRaw } from '@proj/testkit/raw-http'
import { type Spawned, spawned } from '@proj/testkit/spawned'
import { until } from '@proj/testkit/until'

import { type RunningServer, startAgent, startServer } from './programs.ts'
import { tcpService } from './services.ts'

const AGENT = fileURLToPath(new URL('../../../agent/bin/adit.js', import.meta.url))
const PTY = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'

function hasPython(): boolean {
  try {
    return execFileSync('python3', ['-c', 'import pty'], { stdio: 'ignore' }) === null || true
  } catch {
    return false
  }
}

/** `adit access pc1`, or another command, on a terminal. */
function onTerminal(
  server: RunningServer,
  env: Readonly<Record<string, string>> = {},
  command: readonly string[] = ['access', 'pc1'],
): Spawned {
  const port = command[0] === 'access' ? server.ports.proxy : server.ports.upstream
  const url = `http://127.0.0.1:${port}`
  const line = [process.execPath, AGENT, ...command, '--connect.url', url]
  const clean = { CI: undefined, NO_COLOR: undefined, TERM: 'xterm' }
  return spawned('python3', ['-c', PTY, ...line], { env: { ...clean, ...env } })
}

const shows = async (terminal: Spawned, what: string | RegExp): Promise<RegExpExecArray> =>
  await until(() => new RegExp(what).exec(terminal.stdout), {
    what: String(what),
  })

test('it shows what is brought and moves with it; Ctrl-C drains and says so, twice ends', async ({
  skip,
}) => {
  skip(!hasPython(), 'no python3 on this machine')
  const service = await tcpService((socket) => socket.pipe(socket))
  const server = await startServer()
  await startAgent('tcp', 'pc1', service.port, server)
  const terminal = onTerminal(server)
  const [, port] = await shows(terminal, /pc1 +127\.0\.0\.1:(\d+)/)
  await shows(terminal, 'connected since')
  await shows(terminal, 'Ctrl-C: finish and end, twice: end now')
  using connection = await connectRaw(Number(port))
  await connection.send('ping')
  await connection.read(4)
  await shows(terminal, '1 open')
  terminal.write('\u0003')
  await shows(terminal, 'stopping: open connections may finish')
  await shows(terminal, 'stopping: what is open may finish, Ctrl-C: end now')
  await connection.send('more')
  expect((await connection.read(4)).toString()).toBe('more')
  terminal.write('\u0003')
  expect(await terminal.exited).toEqual({ code: 0, signal: null })
  // The last thing is that the view goes, and no mode was ever changed.
  expect(terminal.stdout).not.toContain('\u001b[?')
})

test('colours stay away with NO_COLOR, and so does everything that moves with TERM=dumb', async ({
  skip,
}) => {
  skip(!hasPython(), 'no python3 on this machine')
  const server = await startServer()
  const plain = onTerminal(server, { NO_COLOR: '1' })
  await shows(plain, 'Ctrl-C: finish and end')
  // oxlint-disable-next-line no-control-regex -- control sequences are what is looked for
  expect(plain.stdout).not.toMatch(/\u001b\[[0-9;]*m/)
  const dumb = onTerminal(server, { TERM: 'dumb', NO_COLOR: '1' })
  await shows(dumb, /pc1 +127\.0\.0\.1:\d+ +-> +pc1/)
  expect(dumb.stdout).not.toContain('\u001b')
})

test('q shows the public URL as a QR code and hides it; Ctrl-C ends as before', async ({
  skip,
}) => {
  skip(!hasPython() || process.platform !== 'linux', 'no python3 on this machine, or no Linux')
  const server = await startServer()
  const terminal = onTerminal(server, { NO_COLOR: '1' }, ['http', 'web', '1', '--no-inspect'])
  await shows(terminal, /web +http:\/\/web\.localhost:\d+/)
  await shows(terminal, 'q: QR code, Ctrl-C: finish and end')
  expect(terminal.stdout).not.toContain('█')
  terminal.write('q')
  await shows(
    terminal,
    /█[^]*http:\/\/web\.localhost:\d+[^\n]*\n[^\n]*q: back, only this machine finds it/,
  )
  terminal.write('q')
  await shows(terminal, /q: back[^]*q: QR code, Ctrl-C/)
  terminal.write('\u0003')
  expect(await terminal.exited).toEqual({ code: 0, signal: null })
})
