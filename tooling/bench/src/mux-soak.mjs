// Does a long session leak? Streams of all kinds come and go over one pair of
// sessions on loopback TCP: short questions, bulk, half-closes, readers that stop, resets from both
// sides, Duplexes and channels. At the end heap and handles must be back to where they were once
// the first minute had warmed everything up. Needs the packages built.
// `node mux-soak.mjs [seconds]`; exit code 1 when it leaked.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Session, WindowBudget } from '../../../packages/mux/dist/index.js'

const MIB = 1024 * 1024
const WORKERS = 150
const KEPT_BYTES = 4 * MIB

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
const seconds = Number(process.argv[2] ?? 600)
const budget = new WindowBudget(32 * MIB)
await delay(100) // the loader still closes files
const handlesAtStart = handles()
const server = createServer({ noDelay: true })
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const socket = connect({ port: server.address().port, host: '127.0.0.1', noDelay: true })
const [accepted] = await once(server, 'connection')
const client = new Session(socket, { role: 'client', windowBudget: budget })
const peer = new Session(accepted, { role: 'server', windowBudget: budget, onChannel: serve })

const counts = { done: 0, failed: 0 }
const KINDS = [short, short, short, short, bulk, halfClosed, reset, refused, duplex, stops]
let going = true
let churning = churn()
await delay(Math.min(60_000, seconds * 250))
await settle()
const base = heap()
const warm = counts.done
const startedAt = performance.now()
await churning
churning = churn()
while (performance.now() - startedAt < seconds * 1000) {
  await delay(Math.min(30_000, seconds * 250))
  const rss = Math.round(process.memoryUsage.rss() / MIB)
  console.log(
    `${Math.round((performance.now() - startedAt) / 1000)} s: ${counts.done} streams, RSS ${rss} MiB`,
  )
}
await settle()
const end = heap()
const left = [client, peer].map((session) => session.stats())
await Promise.all([client.close(), peer.closed])
server.close()
await once(server, 'close')
await delay(100)
const handlesAtEnd = handles()
const kept = [
  end - base > KEPT_BYTES && `heap grew by ${end - base} bytes`,
  left.some(
    (stats) =>
      stats.inboundStreams + stats.outboundStreams + stats.heldBytes + stats.queuedBytes > 0,
  ) && 'streams or bytes left',
  budget.usedBytes > 0 && `${budget.usedBytes} bytes of the budget left`,
  handlesAtEnd !== handlesAtStart && `handles: ${handlesAtStart} before, ${handlesAtEnd} after`,
].filter(Boolean)
console.log(`${counts.done - warm} streams, ${counts.failed} of them reset`)
console.log(
  `heap ${(base / MIB).toFixed(2)} MiB after warming up, ${(end / MIB).toFixed(2)} MiB at the end`,
)
console.log(kept.length === 0 ? 'nothing was kept' : kept.join('\n'))
process.exitCode = kept.length === 0 ? 0 : 1
await churning

function churn() {
  going = true
  return Promise.all(Array.from({ length: WORKERS }, worker))
}

async function settle() {
  going = false
  while (client.stats().outboundStreams + peer.stats().inboundStreams > 0) await delay(50)
  await delay(200)
}

function heap() {
  for (let i = 0; i < 4; i++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function handles() {
  return process
    .getActiveResourcesInfo()
    .filter((name) => name !== 'Timeout')
    .toSorted()
    .join()
}

async function worker(_, index) {
  for (let turn = index; going; turn++) {
    await KINDS[turn % KINDS.length]()
    counts.done += 1
  }
}

/** Echoes; what begins with `R` it resets, what begins with `S` it reads slowly. */
function serve(channel) {
  let first
  channel.attach({
    onData: (chunk) => {
      first ??= chunk[0]
      if (first === 82) {
        channel.reset(7)
        return
      }
      channel.write(chunk)
      if (first === 83) setTimeout(() => channel.consume(chunk.length), 20)
      else channel.consume(chunk.length)
    },
    onEnd: () => channel.end(),
    onDrain: () => {},
    onClose: () => {},
  })
}

function exchange(bytes, act = () => {}) {
  return new Promise((resolve) => {
    const channel = client.openChannel({
      onData: (chunk) => {
        channel.consume(chunk.length)
        act(channel)
      },
      onEnd: () => {},
      onDrain: () => {},
      onClose: (error) => {
        if (error !== undefined) counts.failed += 1
        resolve()
      },
    })
    channel.write(bytes)
    channel.end()
  })
}

function short() {
  return exchange(Buffer.from('question'))
}

function bulk() {
  return exchange(Buffer.alloc(MIB, 'bulk'))
}

function halfClosed() {
  return exchange(Buffer.from('S half-closed'))
}

function reset() {
  return exchange(Buffer.alloc(100_000, 'x'), (channel) => channel.reset(3))
}

function refused() {
  return exchange(Buffer.from('R'))
}

function stops() {
  return exchange(Buffer.alloc(300_000, 'S'))
}

async function duplex() {
  const stream = await client.open()
  stream.on('error', () => {})
  stream.end(Buffer.alloc(20_000, 'd'))
  for await (const chunk of stream) if (chunk.length === 0) break
}
