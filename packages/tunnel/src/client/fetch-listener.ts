/** A request listener of Node for a handler that takes a Request and gives a Response. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/**
 * Answers a request as `fetch` of a worker does. It gets the objects of Node as well, as handlers do that
 * `@hono/node-server` calls: `incoming.socket.remoteAddress` is the visitor.
 */
export type FetchHandler = (
  request: Request,
  node: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse },
) => Response | Promise<Response>

/** Makes the listener. What the handler throws is answered with 500 and becomes a warning of the process. */
export function fetchListener(handler: FetchHandler): RequestListener {
  return (incoming, outgoing) => void answer(handler, incoming, outgoing)
}

async function answer(
  handler: FetchHandler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort()
  })
  const request = requestOf(incoming, gone.signal)
  if (request === undefined) {
    outgoing.writeHead(400, { connection: 'close' }).end()
    return
  }
  try {
    const response = await handler(request, { incoming, outgoing })
    await send(response, incoming, outgoing)
    // What is left of a body that nothing reads is dropped: the next request comes behind it.
    if (!request.bodyUsed) incoming.removeAllListeners('data').resume()
  } catch (error) {
    if (gone.signal.aborted) return // the visitor went, and the handler was told
    process.emitWarning(error instanceof Error ? error : String(error))
    if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(500, { connection: 'close' }).end()
  }
}

/** Undefined: what a Request cannot be, such as the methods TRACE and CONNECT. */
function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request | undefined {
  const { method = 'GET', headers, rawHeaders, url = '/' } = incoming
  const scheme = headers['x-forwarded-proto'] === 'https' ? 'https' : 'http'
  // Put together as text: as a relative URL, //name/ would be another host.
  const path = url.startsWith('/') ? url : '/'
  const hasBody = method !== 'GET' && method !== 'HEAD'
  try {
    const fields = new Headers()
    for (let at = 0; at < rawHeaders.length; at += 2) {
      fields.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '')
    }
    return new Request(new URL(`${scheme}://${headers.host ?? 'localhost'}${path}`), {
      method,
      headers: fields,
      signal,
      ...(hasBody && {
        body: Readable.toWeb(incoming) as NonNullable<RequestInit['body']>,
        duplex: 'half' as const,
      }),
    })
  } catch {
    return undefined
  }
}

async function send(
  response: Response,
  { method }: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { body } = response
  if (body === null || method === 'HEAD') {
    setHead(response, outgoing)
    outgoing.end()
    await body?.cancel()
    return
  }
  const source = Readable.fromWeb(body)
  const isLate = !(await hasBegun(source))
  setHead(response, outgoing)
  // The first event of a stream may come late: its visitor gets the head without it.
  if (isLate) outgoing.flushHeaders()
  await pipeline(source, outgoing)
}

/**
 * Waits for the first bytes of a body, or its end, but one turn of the event loop at most.
 *
 * @returns whether there are any, or it has ended.
 * @throws the error of a body that fails at once: it is answered with 500.
 */
async function hasBegun(source: Readable): Promise<boolean> {
  return await new Promise<boolean>((resolve, reject) => {
    source.once('readable', () => resolve(true)).once('error', reject)
    setImmediate(() => resolve(false))
  })
}

function setHead({ status, statusText, headers }: Response, outgoing: ServerResponse): void {
  outgoing.statusCode = status
  if (statusText !== '') outgoing.statusMessage = statusText
  for (const [name, value] of headers) outgoing.appendHeader(name, value)
}
