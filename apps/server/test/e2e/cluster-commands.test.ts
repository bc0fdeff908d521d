// The commands on the store, where that is the database of a cluster: from any machine, beside running nodes.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { postgresOfFile } from '@proj/testkit/postgres-of-file'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, onTestFinished, test } from 'vitest'
import { reserveName } from '@proj/tunnel'
import { until } from '@proj/testkit/until'

import { aditServer, portsOf } from './programs.ts'

const postgres = postgresOfFile()

const BINDS = ['proxy', 'upstream', 'admin', 'cluster'].flatMap((name) => [
  `--${name}.bind-addr`,
  '127.0.0.1:0',
])

function folder(): string {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return directory.path
}

test('tokens, names and the audit log of a cluster are managed without a data directory', async () => {
  const url = await postgres().createDatabase()
  const urlFile = join(folder(), 'url')
  writeFileSync(urlFile, `${url}\n`)
  const env = { ADIT_CLUSTER_DATABASE_URL_FILE: urlFile }
  const seen: string[] = []
  const ended = async (...args: string[]) => {
    const program = aditServer([...args, '--data-dir', folder()], { env })
    const { code } = await program.exited
    seen.push(program.stdout, program.stderr)
    return { code, stdout: program.stdout, stderr: program.stderr }
  }
  const made = await ended('token', 'create', '--endpoints', '*', '--may', 'listen')
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^adit_\w+_\w+\n$/) })
  const token = made.stdout.trim()
  const node = aditServer([...BINDS, '--json', '--data-dir', folder()], { env })
  const { upstream } = portsOf(await node.event('ready'))
  const server = { url: `http://127.0.0.1:${upstream}`, token }
  await reserveName(server, 'web')
  expect((await ended('name', 'list')).stdout).toMatch(/^NAME .*\nweb +- +http +token:/)
  const listed = JSON.parse((await ended('token', 'list', '--json')).stdout) as { id: string }[]
  const id = listed[0]?.id ?? ''
  expect(await ended('token', 'revoke', id)).toMatchObject({
    code: 0,
    stdout: `${id} is revoked\n`,
  })
  // The node has seen it within seconds.
  const refused = async () => await reserveName(server, 'db').then(() => undefined, String)
  expect(await until(refused)).toContain('invalid token')
  // Its own event is written a little later.
  const audit = await until(async () => {
    const { stdout } = await ended('audit', '--json')
    return stdout.includes('name.reserved') && stdout
  })
  const events = audit
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { event: string })
  expect(events.map(({ event }) => event)).toEqual(
    expect.arrayContaining(['token.created', 'name.reserved', 'token.revoked']),
  )
  const copied = await ended('store', 'copy', '--to', url)
  expect(copied).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('write the URL to a file and name it with --to-file'),
  })
  await node.stop()
  seen.push(node.stdout, node.stderr)
  expect(seen.join('')).not.toContain(postgres().password)
})
