// Services and visitors of the end-to-end tests, in the test's own process.
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { exchangeRaw, type RawResponse } from '@proj/testkit/raw-http'

/** A service, and how it dies. */
export interface Service {
  readonly port: number
  readonly sockets: ReadonlySet<Socket>
  /** Ends it as a crash would: no port, no connection. */
  kill(): Promise<void>
}

/** Starts an HTTP service on loopback; it is killed when the test ends. */
export async function httpService(handler: RequestListener, port = 0): Promise<Service> {
  return await started(createServer(handler), port)
}

/** Starts a TCP service on loopback whose connections stay half-open as long as it likes. */
export async function tcpService(accept: (socket: Socket) => void, port = 0): Promise<Service> {
  return await started(createTcpServer({ allowHalfOpen: true }, accept), port)
}

/** Asks the endpoint `web` for a page, on a connection of its own. */
export async function visit(port: number, path = '/'): Promise<RawResponse> {
  const head = `GET ${path} HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n`
  return await exchangeRaw(port, head)
}

/** Begins a request to the endpoint `web` and resolves with the head of the answer. */
export async function download(port: number, path: string): Promise<IncomingMessage> {
  const headers = { host: 'web.localhost' }
  const asked = request({ host: '127.0.0.1', port, path, headers, agent: false }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  return response
}

/** Connections that wait while this process is slow; of one more the kernel would know nothing for seconds. */
const BACKLOG = 4_096

async function started(server: Server, port: number): Promise<Service> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen({ host: '127.0.0.1', port, backlog: BACKLOG })
  await once(server, 'listening')
  const kill = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  try {
    onTestFinished(kill)
  } catch {
    // not inside a test: whoever started it kills it
  }
  const address = server.address()
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, sockets, kill }
}
