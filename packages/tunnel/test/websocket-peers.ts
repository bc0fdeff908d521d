// The two ends that the tests of the WebSocket pipe put on a real connection: pipes, and a raw peer
// that writes any bytes and shows what it was sent.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { listening } from '@proj/testkit/listening'
import type { WebSocketPipeOptions } from '../src/websocket-options.ts'
import { WebSocketPipe } from '../src/websocket-pipe.ts'

/** Two ends of one TCP connection; disposing destroys both. */
export interface SocketPair extends AsyncDisposable {
  readonly client: Socket
  readonly server: Socket
}

/** Connects two sockets over loopback. */
export async function socketPair(): Promise<SocketPair> {
  const listener = createServer({ allowHalfOpen: true })
  const listen = await listening(listener)
  const accepted = once(listener, 'connection')
  const client = connect({ host: listen.host, port: listen.port, allowHalfOpen: true })
  const [[server]] = (await Promise.all([accepted, once(client, 'connect')])) as [[Socket], unknown]
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.destroy()
      await listen.close()
    },
  }
}

/** A pipe on each end of a connection. */
export async function pipePair(
  options: Partial<WebSocketPipeOptions> = {},
): Promise<SocketPair & { readonly near: WebSocketPipe; readonly far: WebSocketPipe }> {
  const pair = await socketPair()
  const near = new WebSocketPipe(pair.client, { ...options, role: 'client' })
  const far = new WebSocketPipe(pair.server, { ...options, role: 'server' })
  return { ...pair, near, far }
}

/** Reads a readable to its end. */
export async function readAll(readable: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of readable) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('not a buffer')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Bytes from hex with blanks and `# comments`. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex')
}
