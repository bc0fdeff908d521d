// @ts-check
// The services behind every leg, in one process of their own: minimal HTTP on raw sockets, and a
// plain byte source and sink. No framework, because what is measured is the way to the service.
// Prints {"event":"ready","http":port,"raw":port}.
//
//     services.mjs [ADDRESS]   listens there, on 127.0.0.1 without it
import { createServer } from 'node:net'

const SMALL_BYTES = 1024
const CHUNK = Buffer.alloc(64 * 1024, 'adit')
const HEAD_END = Buffer.from('\r\n\r\n')
const SMALL = Buffer.concat([head(SMALL_BYTES), CHUNK.subarray(0, SMALL_BYTES)])

const http = createServer({ noDelay: true }, (socket) => {
  let received = Buffer.alloc(0)
  let bodyLeft = 0
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    if (bodyLeft > 0) {
      bodyLeft -= chunk.length
      if (bodyLeft <= 0) socket.write(SMALL)
      return
    }
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const end = received.indexOf(HEAD_END)
    if (end < 0) return
    const text = received.toString('latin1', 0, end)
    const after = received.length - end - HEAD_END.length
    received = Buffer.alloc(0)
    const upload = /\r\ncontent-length: *(\d+)/i.exec(text)
    const wanted = /^GET \/(\d+) /.exec(text)
    if (upload) {
      bodyLeft = Number(upload[1]) - after
      if (bodyLeft <= 0) socket.write(SMALL)
    } else if (wanted && Number(wanted[1]) !== SMALL_BYTES) {
      const bytes = Number(wanted[1])
      socket.write(head(bytes))
      pour(socket, bytes)
    } else {
      socket.write(SMALL)
    }
  })
})

const raw = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  let line = ''
  let left = -1
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    let bytes = chunk.length
    if (left < 0) {
      const before = line.length
      line += chunk.toString('latin1', 0, 32)
      const end = line.indexOf('\n')
      if (end < 0) return
      bytes -= end + 1 - before
      left = Number(line.slice(1, end))
      if (line.startsWith('D')) return pour(socket, left, () => socket.end())
    }
    left -= bytes
    if (left === 0) socket.end('K')
  })
})

/**
 * Writes `bytes` bytes as fast as the socket takes them.
 *
 * @param {import('node:net').Socket} socket
 * @param {number} bytes
 */
function pour(socket, bytes, then = () => {}) {
  let left = bytes
  const more = () => {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= chunk.length
      if (!socket.write(chunk)) {
        socket.once('drain', more)
        return
      }
    }
    then()
  }
  more()
}

/** @param {number} bytes */
function head(bytes) {
  return Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${bytes}\r\n\r\n`,
  )
}

const address = process.argv[2] ?? '127.0.0.1'
http.listen(0, address, () => {
  raw.listen(0, address, () => {
    const [web, plain] = [http, raw].map((server) => {
      const bound = server.address()
      return typeof bound === 'object' ? bound?.port : undefined
    })
    console.log(JSON.stringify({ event: 'ready', http: web, raw: plain }))
  })
})
