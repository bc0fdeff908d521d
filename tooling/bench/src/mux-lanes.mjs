// The lanes of the mux benchmark: each opens streams over a connected socket, and serves those of
// the other end. A stream is `{ write, end }`, its handler `{ data, end, drain }`. `raw` has the one
// stream that the socket is: what the others are compared with.
import { libp2pMuxer } from '../../../packages/mux/test/peers/libp2p-yamux.js'
import { Session } from '../../../packages/mux/dist/index.js'

export const LANES = {
  raw: {
    connect: (socket) => ({ open: (handler) => attachDuplex(socket, handler) }),
    serve: (socket, accept) => accept((handler) => attachDuplex(socket, handler)),
  },
  channel: {
    connect: (socket) => {
      const session = new Session(socket, { role: 'client' })
      return { open: (handler) => attachChannel(session.openChannel(), handler), session }
    },
    serve: (socket, accept) =>
      new Session(socket, {
        role: 'server',
        onChannel: (channel) => accept((handler) => attachChannel(channel, handler)),
      }),
  },
  duplex: {
    connect: (socket) => {
      const session = new Session(socket, { role: 'client' })
      return { open: (handler) => attachDuplex(session.openChannel().toStream(), handler), session }
    },
    serve: (socket, accept) => {
      const session = new Session(socket, { role: 'server' })
      session.on('stream', (stream) => accept((handler) => attachDuplex(stream, handler)))
    },
  },
  libp2p: {
    connect: (socket) => {
      const muxer = libp2pMuxer(socket, 'client')
      return { open: async (handler) => attachMessages(await muxer.createStream(), handler) }
    },
    serve: (socket, accept) =>
      libp2pMuxer(socket, 'server', (stream) =>
        accept((handler) => attachMessages(stream, handler)),
      ),
  },
}

function attachDuplex(stream, handler) {
  stream.on('data', handler.data)
  stream.on('end', handler.end)
  stream.on('drain', handler.drain)
  stream.on('error', () => {})
  return stream
}

function attachChannel(channel, handler) {
  channel.attach({
    onData: (chunk) => {
      handler.data(chunk)
      channel.consume(chunk.length)
    },
    onEnd: handler.end,
    onDrain: handler.drain,
    onClose: () => {},
  })
  return channel
}

function attachMessages(stream, handler) {
  stream.addEventListener('message', ({ data }) => handler.data(data.subarray()))
  stream.addEventListener('remoteCloseWrite', handler.end)
  stream.addEventListener('drain', handler.drain)
  return {
    write: (chunk) => stream.send(chunk),
    end: () => void stream.close().catch(() => {}),
  }
}
