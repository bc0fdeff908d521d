import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { listening } from '../src/listening.ts'
import { connectNetns, netns, netnsMissing } from '../src/netns.ts'
import { spawned } from '../src/spawned.ts'

const missing = netnsMissing()

const SERVE = `require('net').createServer((s) => s.end('from inside'))
  .listen(7, '192.0.2.1', () => console.log('up'))`
const ASK = `require('net').connect(7, '192.0.2.1').on('data', (d) => console.log(String(d)))`

test('two connected namespaces reach each other', async ({ skip }) => {
  skip(missing !== undefined, missing)
  using a = netns()
  using b = netns()
  connectNetns(a, '192.0.2.1/24', b, '192.0.2.2/24')
  const [ip = '', ...inA] = a.prefix
  await using server = spawned(ip, [...inA, process.execPath, '-e', SERVE])
  await server.line(/up/)
  await using client = spawned(ip, [...b.prefix.slice(1), process.execPath, '-e', ASK])
  expect(await client.line(/inside/)).toBe('from inside')
})

test('a namespace does not see what listens outside, and is gone afterwards', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await using outside = await listening(createServer())
  let name: string
  {
    using network = netns()
    ;({ name } = network)
    const script = `require('net').connect(${outside.port}, '127.0.0.1').on('error', (e) => console.log(e.code))`
    const [ip = '', ...inside] = network.prefix
    const client = spawned(ip, [...inside, process.execPath, '-e', script])
    expect(await client.line(/E/)).toBe('ECONNREFUSED')
    await client.exited
  }
  expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).not.toContain(name)
})
