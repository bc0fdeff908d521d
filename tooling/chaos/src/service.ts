// The service behind the agents, as a process that can be killed: HTTP and TCP on two ports. It answers each
// request with the payload of the request's id, and notes what it executed. Prints
// {"event":"ready","http":PORT,"tcp":PORT}.
//
//     service.ts --ledger FILE [--http PORT] [--tcp PORT] [--keep-alive MS] [--fault KIND]
//
// The faults are for the test of the checker: each makes what one category of the checker must report.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { endedByReset } from '@proj/testkit/raw-http'

import { note } from './ledger.ts'
import { payload, PayloadCheck, pour } from './payload.ts'

const BACKLOG = 4096
/** Longer than the client of the test waits; it ends, so that nothing is left open. */
const HANG_MS = 5000

const { values: options } = parseArgs({
  options: {
    ledger: { type: 'string', default: '/dev/null' },
    http: { type: 'string', default: '0' },
    tcp: { type: 'string', default: '0' },
    'keep-alive': { type: 'string', default: '5000' },
    /** twice, other, mixed, short, hang, error, reset, upload-short */
    fault: { type: 'string', default: 'none' },
  },
})
const { ledger, fault } = options

const http = createServer(
  { keepAliveTimeout: Number(options['keep-alive']) },
  (request, response) => {
    void answer(request, response).catch(() => response.destroy())
  },
)
http.requestTimeout = 0
http.headersTimeout = 0
// As most frameworks do, and unlike Node's default of answering 400: a client that left is no event.
http.on('clientError', (_error, socket) => socket.destroy())
const tcp = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  void converse(socket).catch(() => socket.destroy())
})

const ports = { http: await listen(http, options.http), tcp: await listen(tcp, options.tcp) }
process.stdout.write(`${JSON.stringify({ event: 'ready', ...ports })}\n`)

/** `/ID?down=BYTES&framing=length|chunked|close&wait=MS`, the length of the upload in `chaos-up`. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://service')
  const id = url.pathname.slice(1)
  const asked = url.searchParams
  const upload = new PayloadCheck(`${id}-up`, Number(request.headers['chaos-up'] ?? 0))
  for await (const chunk of request) upload.add(chunk as Buffer)
  if (upload.wrongAt !== undefined) note(ledger, 'wrong', id, `upload ${upload.problem}`)
  else if (!upload.isWhole) note(ledger, 'short', id, `upload ended after ${upload.problem}`)
  note(ledger, 'executed', id, request.method ?? '')
  if (fault === 'twice') note(ledger, 'executed', id, request.method ?? '')
  if (fault === 'upload-short') note(ledger, 'short', id, 'upload ended after 1 of 2 bytes')
  await delay(fault === 'hang' ? HANG_MS : Number(asked.get('wait') ?? 0))

  const bytes = Number(asked.get('down') ?? 0)
  const body = payload(`${fault === 'mixed' ? 'other' : id}-down`, bytes)
  response.statusCode = fault === 'error' ? 500 : 200
  response.setHeader('chaos-id', fault === 'other' ? 'other' : id)
  const framing = fault === 'short' ? 'chunked' : asked.get('framing')
  if (framing === 'length') response.setHeader('content-length', bytes)
  if (framing === 'close') {
    response.useChunkedEncodingByDefault = false
    response.setHeader('connection', 'close')
  }
  if (fault === 'reset') {
    response.write(body.subarray(0, -1), () => request.socket.resetAndDestroy())
    return
  }
  await pour(response, fault === 'short' ? body.subarray(0, -1) : body)
  response.end()
}

/** A first line `ID UP DOWN`, the upload, FIN; meanwhile the download, then `K` for a whole upload, FIN. */
async function converse(socket: Socket): Promise<void> {
  socket.on('error', () => socket.destroy())
  let head = ''
  let id = ''
  let upload: PayloadCheck | undefined
  let download = Promise.resolve()
  socket.on('data', (chunk) => {
    let rest = chunk
    if (upload === undefined) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\n')
      if (end < 0) return
      const [name = '', up, down] = head.slice(0, end).split(' ')
      rest = Buffer.from(head.slice(end + 1), 'latin1')
      id = name
      upload = new PayloadCheck(`${id}-up`, Number(up))
      note(ledger, 'executed', id, 'TCP')
      if (fault === 'twice') note(ledger, 'executed', id, 'TCP')
      const body = payload(
        `${fault === 'other' || fault === 'mixed' ? 'other' : id}-down`,
        Number(down),
      )
      download = (fault === 'hang' ? delay(HANG_MS) : Promise.resolve()).then(() =>
        pour(socket, body),
      )
    }
    upload.add(rest)
  })
  let isReset = false
  socket.once('end', () => (isReset = endedByReset(socket)))
  await once(socket, 'end')
  if (fault === 'error') return void socket.resetAndDestroy()
  if (upload === undefined || isReset) return void socket.destroy()
  if (upload.wrongAt !== undefined) note(ledger, 'wrong', id, `upload ${upload.problem}`)
  else if (!upload.isWhole) note(ledger, 'short', id, `upload ended after ${upload.problem}`)
  await download
  socket.end(fault === 'short' ? '' : upload.isWhole ? 'K' : 'B')
}

async function listen(server: Server, port: string): Promise<number> {
  server.listen({ host: '127.0.0.1', port: Number(port), backlog: BACKLOG })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
