// What does the WebSocket pipe cost? Bytes between two processes over loopback TCP in 64 KiB
// writes, as ratios to the bare sockets of the same run (median of alternating runs), beside `ws`;
// and the cost of the 4 KiB masked fragments that Piko's agents send, by itself.
// Needs the packages built. `node websocket.mjs [runs] [MiB]`.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect, createServer } from 'node:net'
import { Duplex } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { WebSocketPipe } from '../../../packages/tunnel/dist/websocket/pipe.js'
import { loadNativeMasker } from '../../../packages/tunnel/dist/websocket/mask.js'
import { resolveWebSocketPipeOptions } from '../../../packages/tunnel/dist/websocket/options.js'
import { WebSocketReceiver } from '../../../packages/tunnel/dist/websocket/receiver.js'

const tunnel = createRequire(new URL('../../../packages/tunnel/package.json', import.meta.url))
const { default: WebSocket } = await import(pathToFileURL(tunnel.resolve('ws')).href)
const muxFile = new URL('../../../packages/mux/dist/index.js', import.meta.url)
const mux = existsSync(muxFile) ? await import(muxFile.href) : undefined

const MIB = 1024 * 1024
const WRITE_BYTES = 64 * 1024
const FRAGMENT_BYTES = 4096
const FRAGMENTS = 8192

const pipe = (socket, role, mask = 'random') => new WebSocketPipe(socket, { role, mask })

/** Each lane turns its end of a socket into what bytes are written to and read from. */
const lanes = {
  raw: (socket) => socket,
  'pipe, masked': (socket, role) => pipe(socket, role),
  'pipe, zero mask': (socket, role) => pipe(socket, role, 'zero'),
  'ws, masked': (socket, role) => wsDuplex(socket, role),
  '4 KiB fragments into pipe': (socket, role) =>
    role === 'server' ? pipe(socket, role) : fragments(socket),
  ...(mux && {
    'mux on raw': (socket, role) => muxDuplex(socket, role),
    'mux on pipe, masked': (socket, role) => muxDuplex(pipe(socket, role), role),
    'mux on pipe, zero mask': (socket, role) => muxDuplex(pipe(socket, role, 'zero'), role),
  }),
}

if (process.send) {
  process.on('message', ({ port, lane, sends, bytes }) => {
    void answer({ port, lane, sends, bytes })
  })
} else {
  await main(Number(process.argv[2] ?? 5), Number(process.argv[3] ?? 512) * MIB)
}

/** The child's part of one run. */
async function answer({ port, lane, sends, bytes }) {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {}) // the parent cuts the connection when both are done
  await once(socket, 'connect')
  socket.setNoDelay()
  const end = await lanes[lane](socket, 'client')
  end.on('error', () => {})
  if (sends) await send(end, bytes)
  else await receive(end, bytes)
  process.send('done')
}

async function main(runs, bytes) {
  fragmentCost()
  const child = fork(new URL(import.meta.url))
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const rates = new Map()
  const jobs = []
  for (const direction of ['client to server', 'server to client']) {
    for (const lane of Object.keys(lanes)) {
      // A server never masks, so one lane of each kind tells all.
      const useless = /zero|fragments/.test(lane) && direction === 'server to client'
      if (!useless) jobs.push({ direction, lane })
    }
  }
  for (let run = -1; run < runs; run++) {
    for (const { direction, lane } of jobs) {
      const sends = direction === 'client to server'
      const accepted = once(server, 'connection')
      child.send({ port: server.address().port, lane, sends, bytes })
      const [socket] = await accepted
      socket.on('error', () => {})
      socket.setNoDelay()
      const end = await lanes[lane](socket, 'server')
      end.on('error', () => {})
      const begin = performance.now()
      const done = once(child, 'message')
      if (sends) await receive(end, bytes)
      else await send(end, bytes)
      const rate = bytes / 1000 / (performance.now() - begin)
      await done
      socket.destroy()
      const key = `${direction}: ${lane}`
      if (run >= 0) rates.set(key, [...(rates.get(key) ?? []), rate])
    }
  }
  server.close()
  child.disconnect()
  const table = jobs.map(({ direction, lane }) => {
    const own = rates.get(`${direction}: ${lane}`)
    const raw = rates.get(`${direction}: raw`)
    const ratio = median(own.map((rate, i) => rate / raw[i]))
    const name = direction === 'server to client' ? lane.replace(', masked', '') : lane
    return {
      direction,
      lane: name,
      'MB/s': Math.round(median(own)),
      'x raw': Number(ratio.toFixed(2)),
    }
  })
  console.table(table)
}

/** Sends `bytes` and waits for the answer that all have come. */
async function send(end, bytes) {
  const answer = once(end, 'data')
  const chunk = Buffer.alloc(WRITE_BYTES)
  for (let sent = 0; sent < bytes; sent += WRITE_BYTES) {
    if (!end.write(chunk)) await once(end, 'drain')
  }
  await answer
}

async function receive(end, bytes) {
  let got = 0
  await new Promise((resolve) => {
    end.on('data', (chunk) => {
      got += chunk.length
      if (got >= bytes) resolve()
    })
  })
  end.write(Buffer.alloc(1))
}

/** `ws` as a byte pipe. The handshake is skipped on both ends: it is not what is measured. */
function wsDuplex(socket, role) {
  const ws = new WebSocket(null, undefined, {})
  ws._isServer = role === 'server'
  ws.setSocket(socket, Buffer.alloc(0), { maxPayload: 0, allowSynchronousEvents: true })
  return new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      ws.send(chunk, done)
    },
    construct(done) {
      ws.on('message', (data) => this.push(data))
      done()
    },
  })
}

/** Writes what a Go agent writes for 64 KiB, whatever it is given. */
function fragments(socket) {
  const image = fragmentImage(WRITE_BYTES / FRAGMENT_BYTES)
  return {
    write: () => socket.write(image),
    on: (...event) => socket.on(...event),
    once: (...event) => socket.once(...event),
    off: (...event) => socket.off(...event),
    removeListener: (...event) => socket.off(...event),
  }
}

async function muxDuplex(transport, role) {
  const session = new mux.Session(transport, { role })
  if (role === 'client') return session.open()
  const [stream] = await once(session, 'stream')
  return stream
}

/** CPU time of the receiver alone, fed chunks of 64 KiB as a socket gives them. */
function fragmentCost() {
  const image = fragmentImage(FRAGMENTS)
  const options = resolveWebSocketPipeOptions(new Duplex(), { role: 'server' })
  let got = 0
  const sink = { onPayload: (part) => (got += part.length), onPing() {}, onClose() {} }
  const feed = (receiver) => {
    const before = process.cpuUsage()
    for (let at = 0; at < image.length; at += WRITE_BYTES) {
      // The receiver changes what it is given, so each chunk is a copy; the control makes it too.
      const chunk = Buffer.from(image.subarray(at, at + WRITE_BYTES))
      receiver?.push(chunk)
    }
    const { user, system } = process.cpuUsage(before)
    return ((user + system) * 1000) / FRAGMENTS
  }
  const samples = Array.from({ length: 31 }, () => {
    const control = feed()
    return feed(new WebSocketReceiver(options, sink)) - control
  })
  if (got !== samples.length * FRAGMENTS * FRAGMENT_BYTES) throw new Error('bytes were lost')
  const ns = median(samples)
  const msPerGib = (ns * 1024 * MIB) / FRAGMENT_BYTES / 1e6
  console.log(
    `4 KiB masked fragments, receiver alone: ${Math.round(ns)} ns of CPU each, ` +
      `${Math.round(msPerGib)} ms per GiB (${loadNativeMasker() ? 'native' : 'words'})`,
  )
}

function fragmentImage(fragmentCount) {
  const parts = []
  for (let i = 0; i < fragmentCount; i++) {
    const fin = i === fragmentCount - 1 ? 0x80 : 0
    const header = Buffer.from([fin | (i === 0 ? 2 : 0), 0xfe, 0, 0, 1 + i, 2, 3, 4])
    header.writeUInt16BE(FRAGMENT_BYTES, 2)
    parts.push(header, Buffer.alloc(FRAGMENT_BYTES))
  }
  return Buffer.concat(parts)
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
