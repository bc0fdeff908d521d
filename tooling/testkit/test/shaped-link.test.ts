import { execFileSync } from 'node:child_process'
import { beforeEach, expect, test } from 'vitest'
import { netnsMissing } from '../src/netns.ts'
import { FAR_ADDRESS, type LineShape, shapedLink } from '../src/shaped-link.ts'
import { spawned } from '../src/spawned.ts'

const missing = netnsMissing()
beforeEach(({ skip }) => skip(missing !== undefined, missing))

const SERVE = `require('node:net')
  .createServer((socket) => socket.on('error', () => {}).once('data', (b) => socket.end(Buffer.alloc(Number(b)))))
  .listen(9000, () => console.log('ready'))`
const ASK = `const socket = require('node:net').connect(9000, '${FAR_ADDRESS}')
  let bytes = 0, first, asked
  socket.on('connect', () => { asked = performance.now(); socket.write(process.argv[1]) })
  socket.on('data', (b) => { first ??= performance.now(); bytes += b.length })
  socket.on('close', () => console.log(JSON.stringify({ bytes, rttMs: first - asked, ms: performance.now() - asked })))`

interface Answer {
  readonly bytes: number
  readonly rttMs: number
  readonly ms: number
  /** Segments that the service sent again. */
  readonly again: number
}

/** Sends one request over a line of this shape: the far side answers with so many bytes. */
async function ask(shape: LineShape, bytes: number): Promise<Answer> {
  await using link = await shapedLink(shape)
  const [command = '', ...inside] = link.far.prefix
  const service = spawned(command, [...inside, process.execPath, '-e', SERVE])
  await service.line(/^ready$/)
  const [near = '', ...prefix] = link.near.prefix
  const args = [...prefix, process.execPath, '-e', ASK, String(bytes)]
  const answer = JSON.parse(execFileSync(near, args, { encoding: 'utf8' })) as Answer
  await service.stop()
  const tcp = execFileSync(command, [...inside, 'cat', '/proc/net/snmp'], { encoding: 'utf8' })
  const [names = [], values = []] = [...tcp.matchAll(/^Tcp: (.*)$/gm)].map(([, row]) =>
    row?.split(' '),
  )
  return { ...answer, again: Number(values[names.indexOf('RetransSegs')]) }
}

test('a line delays: a round trip takes rttMs', async () => {
  const { bytes, rttMs } = await ask({ rttMs: 40 }, 1000)
  expect(bytes).toBe(1000)
  expect(rttMs).toBeGreaterThan(39)
})

test('a line has a rate', async () => {
  const { bytes, ms } = await ask({ rttMs: 2, mbitPerSecond: 20 }, 2_500_000)
  expect(bytes).toBe(2_500_000)
  expect(ms).toBeGreaterThan(900)
})

test('a line loses packets, and TCP sends them again', async () => {
  const { bytes, again } = await ask({ rttMs: 2, lossPercent: 5 }, 1_000_000)
  expect(bytes).toBe(1_000_000)
  expect(again).toBeGreaterThan(5)
})
