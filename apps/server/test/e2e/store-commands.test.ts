import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { reservedNames, reserveName } from '@proj/tunnel'
import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { aditServer, type RunningServer, startAgent, startServer } from './programs.ts'
import { httpService } from './services.ts'

/** Runs a command of `adit-server` to its end. */
async function ended(args: readonly string[], dataDir: string) {
  const program = aditServer([...args, '--data-dir', dataDir])
  const { code } = await program.exited
  return { code, stdout: program.stdout, stderr: program.stderr }
}

const upstreamOf = ({ ports }: RunningServer) => ({ url: `http://127.0.0.1:${ports.upstream}` })

test('a backup of a running server is whole, and puts everything back', async () => {
  using directory = temporaryDirectory()
  const data = join(directory.path, 'data')
  const copy = join(directory.path, 'copy.db')
  const server = await startServer(undefined, ['--data-dir', data])
  await reserveName(upstreamOf(server), 'web')
  // The copy is made while names are written all the time.
  let isDone = false
  const writing = (async () => {
    for (let count = 0; !isDone; count++) {
      await reserveName(upstreamOf(server), `name-${count % 50}`)
    }
  })()
  const made = await ended(['backup', copy], data)
  isDone = true
  await writing
  expect(made).toEqual({ code: 0, stdout: `${copy} has everything\n`, stderr: '' })
  expect(await ended(['backup', copy], data)).toMatchObject({
    code: 2,
    stderr: `adit-server: ${copy} is there already\n  a backup overwrites nothing: name another file\n`,
  })
  await reserveName(upstreamOf(server), 'after')
  await server.process.stop()
  // As docs/names.md says it.
  for (const end of ['', '-wal', '-shm']) rmSync(join(data, `adit.db${end}`), { force: true })
  copyFileSync(copy, join(data, 'adit.db'))
  const restored = await startServer(undefined, ['--data-dir', data])
  const names = (await reservedNames(upstreamOf(restored))).map(({ endpoint }) => endpoint)
  expect(names).toContain('web')
  expect(names).not.toContain('after')
})

test('an operator sees every reserved name and may give one up', async () => {
  using directory = temporaryDirectory()
  const server = await startServer(undefined, ['--data-dir', directory.path])
  await reserveName(upstreamOf(server), 'web', { kind: 'tcp' })
  const listed = await ended(['name', 'list'], directory.path)
  expect(listed.stdout).toMatch(/^NAME .*\nweb +- +tcp +anonymous +\d{4}-\S+Z\n$/)
  expect(await ended(['name', 'release', 'web'], directory.path)).toEqual({
    code: 0,
    stdout: 'web is released\n',
    stderr: '',
  })
  expect(await reservedNames(upstreamOf(server))).toEqual([])
  expect(await ended(['name', 'release', 'web'], directory.path)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('"web" is not reserved'),
  })
})

test('audit says who took and lost what, also while the server runs', async () => {
  using directory = temporaryDirectory()
  const service = await httpService((_request, response) => response.end())
  const server = await startServer(undefined, ['--data-dir', directory.path])
  const agent = await startAgent('http', 'web', service.port, server)
  await agent.stop()
  await reserveName(upstreamOf(server), 'db')
  const audit = async () => {
    const { stdout } = await ended(['audit', '--json', '--since', '1h'], directory.path)
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  const events = await until(async () => (await audit()).length === 3 && (await audit()))
  expect(events).toMatchObject([
    { event: 'name.taken', endpoint: 'web', identity: 'anonymous', remoteAddress: '127.0.0.1' },
    { event: 'name.lost', endpoint: 'web', identity: 'anonymous' },
    { event: 'name.reserved', endpoint: 'db', identity: 'anonymous' },
  ])
  const { stdout } = await ended(['audit'], directory.path)
  expect(stdout).toMatch(/^\S+Z {2}name\.taken +endpoint=web identity=anonymous /)
  // The log has the same, for whoever collects that.
  expect(JSON.parse(await server.process.line(/"name.reserved"/))).toMatchObject({
    msg: 'audit',
    endpoint: 'db',
  })
})

test('a reader that takes one line ends a command quietly, with 0', async () => {
  using directory = temporaryDirectory()
  const env = { STATE_DIRECTORY: directory.path }
  const made = aditServer(['token', 'create', '--endpoints', '*'], { env })
  expect(await made.exited).toMatchObject({ code: 0 })
  const bin = fileURLToPath(new URL('../../bin/', import.meta.url))
  const agent = fileURLToPath(new URL('../../../agent/bin/adit.js', import.meta.url))
  // `true` reads nothing and has ended long before a program of ours writes.
  for (const command of [
    `${bin}adit-server.js audit --json`,
    `${bin}adit-server.js token list`,
    `${bin}adit-server.js config reference`,
    `${agent} config reference`,
    `${agent} --help`,
  ]) {
    const script = `"$0" ${command} | true; echo "\${PIPESTATUS[0]}"`
    const shell = spawned('bash', ['-c', script, process.execPath], { env })
    await shell.exited
    expect([command, shell.stdout, shell.stderr]).toEqual([command, '0\n', ''])
  }
})
