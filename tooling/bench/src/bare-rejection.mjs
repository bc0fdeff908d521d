// @ts-check
// A server that answers whatever it reads with the same 503: the least that a process of Node spends on a
// request that it rejects. Prints its port as a line of JSON, and runs until it is ended.
import { createServer } from 'node:net'

const ANSWER = Buffer.from(
  'HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n',
)

const server = createServer((socket) => {
  socket.on('error', () => {}) // the load ends
  socket.on('data', () => socket.write(ANSWER))
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  process.stdout.write(`${JSON.stringify({ event: 'ready', port: address.port })}\n`)
})
