// The multiplexer's own suite, over pipes: what every session of ours rides on.
import { tcpPair, tlsPair, type DuplexPair } from '@proj/testkit/duplex-pairs'
import { type MuxSuiteSetup, muxSuite } from '@proj/testkit/mux-suite'
import { Session } from '@proj/mux'
import type { WebSocketPipeOptions } from '../../src/websocket/options.ts'
import { WebSocketPipe } from '../../src/websocket/pipe.ts'

const createSession: MuxSuiteSetup['createSession'] = (transport, options) =>
  new Session(transport, options)

function pipes(
  connect: () => Promise<DuplexPair>,
  options: Omit<WebSocketPipeOptions, 'role'> = {},
): () => Promise<DuplexPair> {
  return async () => {
    const [client, server] = await connect()
    return [
      new WebSocketPipe(client, { ...options, role: 'client' }),
      new WebSocketPipe(server, { ...options, role: 'server' }),
    ]
  }
}

muxSuite('over a WebSocket pipe, masked', { connect: pipes(tcpPair), createSession })
muxSuite('over a WebSocket pipe with a zero mask', {
  connect: pipes(tcpPair, { mask: 'zero' }),
  createSession,
})
muxSuite('over a WebSocket pipe that says Close', {
  connect: pipes(tcpPair, { closeFrame: true }),
  createSession,
})
muxSuite('over a WebSocket pipe in TLS', { connect: pipes(tlsPair), createSession })
muxSuite('over a WebSocket pipe in messages of 100 bytes', {
  connect: pipes(tcpPair, { maxMessageBytes: 100 }),
  createSession,
})
