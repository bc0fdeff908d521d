// What does the multiplexer cost? Two processes on loopback TCP, every lane in every round, ratios
// to the raw socket of the same round (median of the rounds). Lanes: the bare socket, our channels
// (callbacks), our Duplexes, and the yamux of libp2p. Then one stream over a path of 50 ms, in one
// process, over a Duplex that delays.
// Needs the packages built. `node mux.mjs [rounds] [MiB]`.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { delayedPair } from './delay-duplex.mjs'
import { LANES } from './mux-lanes.mjs'

const MIB = 1024 * 1024
const WRITE = Buffer.alloc(64 * 1024, 'x')
const SMALL = Buffer.alloc(64, 'y')
const SMALL_RUN_MS = 700
const PARALLEL = 64

if (process.send) await serve()
else await main(Number(process.argv[2] ?? 5), Number(process.argv[3] ?? 512) * MIB)

/** The other process: a stream that begins with `s` is swallowed and answered at its end, else echoed. */
async function serve() {
  const ports = {}
  for (const [name, lane] of Object.entries(LANES)) {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => {})
      lane.serve(socket, accept)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports[name] = server.address().port
  }
  process.send(ports)
}

function accept(attach) {
  let echoes
  const stream = attach({
    data: (chunk) => {
      echoes ??= chunk[0] !== WRITE[0]
      if (echoes) stream.write(chunk)
    },
    end: () => {
      if (!echoes) stream.write(SMALL)
      stream.end()
    },
    drain: () => {},
  })
}

async function main(rounds, bytes) {
  const child = fork(new URL(import.meta.url))
  const [ports] = await once(child, 'message')
  const results = []
  for (let round = 0; round < rounds; round++) {
    const result = {}
    for (const [name, lane] of Object.entries(LANES)) {
      const budget = name === 'libp2p' ? bytes / 4 : bytes
      const dial = async () => {
        const socket = connect({ port: ports[name], host: '127.0.0.1', noDelay: true })
        socket.on('error', () => {})
        await once(socket, 'connect')
        return { socket, ...lane.connect(socket) }
      }
      result[name] = await measure(name, dial, budget)
    }
    results.push(result)
  }
  child.kill()
  print(results)
  for (const name of ['channel', 'duplex', 'libp2p']) await longPath(name, 50)
}

async function measure(name, dial, bytes) {
  const raw = name === 'raw'
  const with_ = async (run) => {
    const link = await dial()
    const value = await run(link)
    link.socket.destroy()
    return value
  }
  return {
    'bulk, 1 stream, MiB/s': await with_((link) => bulk(link, 1, bytes)),
    // sixteen streams over one socket: the control is the same one socket
    'bulk, 16 streams, MiB/s': await with_((link) => bulk(link, raw ? 1 : 16, bytes)),
    'round trips of 64 B, 1/s': await with_(roundTrips),
    'open + 64 B + close, 1/s': raw
      ? await dialing(dial, 1)
      : await with_((link) => opens(link, 1)),
    [`the same, ${PARALLEL} at once, 1/s`]: raw
      ? await dialing(dial, PARALLEL)
      : await with_((link) => opens(link, PARALLEL)),
    'p50 of 64 B, idle, ms': await with_((link) => pings(link)),
    // the bare socket cannot share: its control is bulk on a second connection of the same processes
    'p50 of 64 B beside bulk, ms': await with_(async (link) => {
      const other = raw ? await dial() : link
      const value = await pingsBesideBulk(link, other)
      other.socket.destroy()
      return value
    }),
  }
}

async function bulk(link, streams, bytes) {
  const start = performance.now()
  const each = Array.from({ length: streams }, () => upload(link, bytes / streams))
  await Promise.all(each)
  return bytes / MIB / ((performance.now() - start) / 1000)
}

function upload(link, bytes) {
  return new Promise((resolve) => {
    let left = bytes
    let stream
    const write = () => {
      while (left > 0) {
        left -= WRITE.length
        if (!stream.write(WRITE)) return
      }
      stream.end()
      left = Infinity
    }
    const drain = () => {
      if (left !== Infinity) write()
    }
    const opened = link.open({ data: () => {}, end: resolve, drain })
    void Promise.resolve(opened).then((value) => {
      stream = value
      write()
    })
  })
}

/** One stream, one question at a time. */
async function roundTrips(link) {
  const ask = await asker(link)
  const start = performance.now()
  let count = 0
  for (; performance.now() - start < SMALL_RUN_MS; count++) await ask()
  return count / ((performance.now() - start) / 1000)
}

async function asker(link) {
  let answered
  let got = 0
  const data = (chunk) => {
    got += chunk.length
    if (got < SMALL.length) return
    got = 0
    answered()
  }
  const stream = await link.open({ data, end: () => {}, drain: () => {} })
  return () =>
    new Promise((resolve) => {
      answered = resolve
      stream.write(SMALL)
    })
}

/** A stream per question. */
async function opens(link, parallel) {
  const start = performance.now()
  let count = 0
  const worker = async () => {
    for (; performance.now() - start < SMALL_RUN_MS; count++) await exchange(link)
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return count / ((performance.now() - start) / 1000)
}

function exchange(link) {
  return new Promise((resolve) => {
    const send = (stream) => {
      stream.write(SMALL)
      stream.end()
    }
    const opened = link.open({ data: () => {}, end: resolve, drain: () => {} })
    if (opened instanceof Promise) void opened.then(send)
    else send(opened)
  })
}

/** The control of it: a connection per question. */
async function dialing(dial, parallel) {
  const start = performance.now()
  let count = 0
  const worker = async () => {
    for (; performance.now() - start < SMALL_RUN_MS; count++) {
      const link = await dial()
      await exchange(link)
      link.socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return count / ((performance.now() - start) / 1000)
}

async function pings(link) {
  const ask = await asker(link)
  const times = []
  const start = performance.now()
  while (performance.now() - start < SMALL_RUN_MS) {
    const asked = performance.now()
    await ask()
    times.push(performance.now() - asked)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return median(times)
}

async function pingsBesideBulk(link, bulkLink) {
  let going = true
  let stream
  const write = () => {
    while (going && stream.write(WRITE));
  }
  stream = await bulkLink.open({ data: () => {}, end: () => {}, drain: write })
  write()
  const value = await pings(link)
  going = false
  return value
}

/** Includes the time the window takes to grow. */
async function longPath(name, roundTripMs) {
  const [near, far] = delayedPair(roundTripMs)
  const lane = LANES[name]
  lane.serve(far, accept)
  const bytes = name === 'libp2p' ? 4 * MIB : 512 * MIB
  const rate = await bulk(lane.connect(near), 1, bytes)
  near.destroy()
  const title = `1 stream at ${roundTripMs} ms, ${bytes / MIB} MiB, ${name}`
  console.log(`${title.padEnd(42)}${number(rate)} MiB/s`)
}

function print(rounds) {
  const names = Object.keys(LANES)
  const rows = Object.keys(rounds[0].raw).map((row) => {
    const medians = names.map((name) => median(rounds.map((round) => round[name][row])))
    const ratios = names
      .slice(1)
      .map((name) =>
        median(rounds.map((round) => round[name][row] / (round.raw[row] || round[name][row]))),
      )
    return [row, ...medians.map(number), ...ratios.map(number)]
  })
  const head = ['', ...names, ...names.slice(1).map((name) => `${name}/raw`)]
  for (const cells of [head, ...rows]) {
    console.log(cells.map((cell, i) => (i ? cell.padStart(12) : cell.padEnd(30))).join(''))
  }
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}

function number(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
