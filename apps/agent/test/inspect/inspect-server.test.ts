// The API over real sockets: who is answered, what is answered, and replays to a real service.
import { once } from 'node:events'
import { createServer, type RequestListener, request as httpRequest } from 'node:http'
import { connect, type AddressInfo, createServer as createTcpServer } from 'node:net'

import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Capture } from '../../src/inspect/capture.ts'
import type { Exchange } from '../../src/inspect/exchange.ts'
import { detailOf } from '../../src/inspect/exchange-rows.ts'
import { createInspectServer } from '../../src/inspect/inspect-server.ts'
import { replay } from '../../src/inspect/replay.ts'
import { Secrets } from '../../src/inspect/secrets.ts'

const TOKEN = 'a-token-of-22-letters!'

interface Answer {
  readonly status: number
  readonly text: string
  readonly json: Record<string, unknown>
  readonly headers: Record<string, unknown>
}

async function inspector(
  service: RequestListener = (_, response) => response.end('ok'),
  keep = 100,
) {
  const upstream = createServer(service)
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const { port: servicePort } = upstream.address() as AddressInfo
  const capture = new Capture({
    keep,
    bodyBytes: 1000,
    maxBytes: 1_048_576,
    maxPerSecond: 1000,
  })
  const secrets = new Secrets()
  let port = 0
  const server = createInspectServer({
    capture,
    secrets,
    software: 'adit/1',
    rules: { token: TOKEN, hosts: ['inspect.example'], ports: () => [port], isPublic: false },
    assets: async () => undefined,
    state: () => ({
      software: 'adit/1',
      connected: true,
      listeners: [],
      kept: 0,
      keep: 100,
      bytes: 0,
      maxBytes: 1,
      bodyBytes: 1,
      skipped: 0,
      recording: true,
    }),
    connect: (endpoint) =>
      endpoint === 'web'
        ? async () => {
            const socket = connect(servicePort, '127.0.0.1')
            await once(socket, 'connect')
            return socket
          }
        : undefined,
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
    upstream.close()
    upstream.closeAllConnections()
  })
  const ask = async (
    line: string,
    { body, ...headers }: Record<string, string> = {},
  ): Promise<Answer> => {
    const [method, path] = line.split(' ')
    return await new Promise((resolve, reject) => {
      const own = {
        host: `localhost:${port}`,
        'x-adit-token': TOKEN,
        ...(method === 'POST' && { 'content-type': 'application/json' }),
      }
      const all = Object.entries({ ...own, ...headers }).filter(([, value]) => value !== '-')
      const asked = httpRequest(
        { port, host: '127.0.0.1', method, path, headers: Object.fromEntries(all), agent: false },
        (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (part: string) => (text += part))
          response.on('end', () => {
            const isJson = response.headers['content-type'] === 'application/json'
            const json = isJson && !text.startsWith('{"log') ? JSON.parse(text) : {}
            resolve({ status: response.statusCode ?? 0, text, json, headers: response.headers })
          })
        },
      )
      asked.on('error', reject).end(body)
    })
  }
  const add = (fill: (exchange: Exchange) => void = () => {}): Exchange => {
    const exchange = capture.store.begin('http', 'web')
    exchange.request = {
      method: 'POST',
      target: '/orders?token=abc',
      headers: ['Host', 'web.example', 'Authorization', 'Bearer topsecret', 'X-A', '1'],
    }
    exchange.response = { status: 500, reason: 'Oops', headers: ['Content-Type', 'text/plain'] }
    exchange.requestBody.add(Buffer.from('hello'), () => true)
    exchange.state = 'done'
    fill(exchange)
    capture.store.touch(exchange)
    return exchange
  }
  return { ask, add, capture, port, server }
}

test('only the own page with the token is answered', async () => {
  const { ask, port } = await inspector()
  const cases: [string, Record<string, string>, number, string?][] = [
    ['GET /api/state', {}, 200],
    ['GET /api/state', { host: `127.0.0.1:${port}` }, 200],
    ['GET /api/state', { host: 'inspect.example' }, 200],
    [
      'GET /api/state',
      { 'sec-fetch-site': 'same-origin', origin: `http://localhost:${port}` },
      200,
    ],
    // A proxy with TLS in front of it.
    ['POST /api/clear', { host: 'inspect.example', origin: 'https://inspect.example' }, 200],
    [
      'POST /api/clear',
      { host: 'inspect.example', origin: 'https://other.example' },
      403,
      'origin_refused',
    ],
    [
      'POST /api/clear',
      { host: 'inspect.example', origin: 'https://inspect.example:8443' },
      403,
      'origin_refused',
    ],
    ['GET /api/state', { host: `rebind.example:${port}` }, 403, 'host_refused'],
    ['GET /api/state', { host: `localhost.example:${port}` }, 403, 'host_refused'],
    ['GET /api/state', { host: 'localhost:1' }, 403, 'host_refused'],
    ['GET /api/state', { host: `192.0.2.1:${port}` }, 403, 'host_refused'],
    ['GET /api/state', { host: `localhost:${port}@evil.example` }, 403, 'host_refused'],
    ['GET http://localhost/api/state', {}, 403, 'host_refused'],
    ['GET /api/state', { 'sec-fetch-site': 'same-site' }, 403, 'site_refused'],
    ['GET /api/state', { 'sec-fetch-site': 'cross-site' }, 403, 'site_refused'],
    ['GET /api/state', { 'sec-fetch-site': 'none' }, 403, 'site_refused'],
    ['GET /api/state', { origin: 'http://localhost:3000' }, 403, 'origin_refused'],
    ['GET /api/state', { origin: 'null' }, 403, 'origin_refused'],
    ['OPTIONS /api/state', { origin: 'http://localhost:3000' }, 403, 'origin_refused'],
    ['OPTIONS /api/state', {}, 403, 'method_refused'],
    ['DELETE /api/state', {}, 403, 'method_refused'],
    ['GET /api/state', { 'x-adit-token': '-' }, 401, 'token_needed'],
    ['GET /api/state', { 'x-adit-token': `${TOKEN}x` }, 401, 'token_needed'],
    ['GET /api/stream', { 'x-adit-token': 'wrong' }, 401, 'token_needed'],
    ['POST /api/clear', { 'content-type': 'text/plain' }, 415, 'type_refused'],
    ['POST /api/clear', { 'x-adit-token': '-' }, 401, 'token_needed'],
    ['GET /api/clear', {}, 404, 'route_unknown'],
    ['GET /api/exchanges/1/replay', {}, 404, 'route_unknown'],
    ['GET /', { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' }, 503, 'not_built'],
    ['GET /', { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'iframe' }, 403, 'site_refused'],
    ['GET /', { 'sec-fetch-site': 'same-site', 'sec-fetch-dest': 'script' }, 403, 'site_refused'],
    ['GET /', { host: `rebind.example:${port}` }, 403, 'host_refused'],
  ]
  for (const [line, headers, status, code] of cases) {
    const answer = await ask(line, headers)
    expect({ line, headers, status: answer.status, code: answer.json['code'] }).toEqual({
      line,
      headers,
      status,
      code,
    })
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'")
  }
})

test('secrets are hidden until one is asked for', async () => {
  const { ask, add } = await inspector()
  const { id } = add()
  const { text } = await ask(`GET /api/exchanges/${id}`)
  expect(text).not.toMatch(/topsecret|abc/)
  expect((await ask('GET /api/exchanges')).text).not.toMatch(/topsecret|abc/)
  expect((await ask('GET /api/har')).text).not.toMatch(/topsecret|abc/)
  expect((await ask(`GET /api/exchanges/${id}/curl`)).text).not.toMatch(/topsecret|abc/)
  expect((await ask('GET /api/search?header=authorization%3Dtopsecret')).json['ids']).toEqual([])
  expect((await ask('GET /api/search?header=x-a%3D1')).json['ids']).toEqual([id])
  expect((await ask('GET /api/search?body=hell')).json['ids']).toEqual([id])
  const reveal = async (body: object): Promise<unknown> =>
    (await ask(`POST /api/exchanges/${id}/reveal`, { body: JSON.stringify(body) })).json['value']
  expect(await reveal({ side: 'request', index: 1 })).toBe('Bearer topsecret')
  expect(await reveal({ side: 'target' })).toBe('/orders?token=abc')
  expect((await ask('GET /api/har?secrets=1')).text).toContain('topsecret')
  expect((await ask(`GET /api/exchanges/${id}/curl?secrets=1`)).text).toContain('topsecret')
})

test('a replay goes to the service with the hidden values and is an exchange of its own', async () => {
  const { ask, add, capture } = await inspector((request, response) => {
    const { authorization = '', 'x-a': a = '', 'x-request-id': id } = request.headers
    response.end([request.method, request.url, authorization, String(a), typeof id].join(' '))
  })
  const { id } = add()
  const again = await ask(`POST /api/exchanges/${id}/replay`, { body: '{}' })
  const made = capture.store.find(Number(again.json['id']))
  expect(made).toMatchObject({ replayOf: id, state: 'done' })
  expect(made?.responseBody.content.toString()).toBe(
    'POST /orders?token=abc Bearer topsecret 1 string',
  )
  const edit = {
    method: 'PUT',
    target: '/other',
    headers: [
      { name: 'host', value: 'x' },
      { name: 'authorization', keep: 1 },
      { name: 'x-a', value: '2' },
    ],
    body: Buffer.from('changed').toString('base64'),
  }
  const edited = await ask(`POST /api/exchanges/${id}/replay`, { body: JSON.stringify({ edit }) })
  const changed = capture.store.find(Number(edited.json['id']))
  expect(changed?.responseBody.content.toString()).toBe('PUT /other Bearer topsecret 2 string')
  expect(changed?.requestBody.content.toString()).toBe('changed')
})

test('an edited body is sent without the coding that the original had', async () => {
  const { ask, add, capture } = await inspector((request, response) => {
    response.end(String(request.headers['content-encoding']))
  })
  const { id } = add((exchange) => {
    exchange.request = { method: 'POST', target: '/', headers: ['Content-Encoding', 'gzip'] }
  })
  const sent = async (value: string, body?: string): Promise<unknown> => {
    const headers = [
      { name: 'Host', value: 'x' },
      { name: 'Content-Encoding', value },
    ]
    const edit = { headers, ...(body !== undefined && { body }) }
    const line = `POST /api/exchanges/${id}/replay`
    const again = await ask(line, { body: JSON.stringify({ edit }) })
    return capture.store.find(Number(again.json['id']))?.responseBody.content.toString()
  }
  expect(await sent('gzip')).toBe('gzip')
  expect(await sent('gzip', 'YQ==')).toBe('undefined')
  expect(await sent('br', 'YQ==')).toBe('br')
})

test('the replay of an event stream without an end has what came, and says so', async () => {
  const { add, capture } = await inspector()
  const service = createTcpServer((socket) => {
    socket.on('error', () => {}) // the replay resets it
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'
    socket.once('data', () => socket.write(`${head}data: one\n\n`))
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  onTestFinished(() => void service.close())
  const { port } = service.address() as AddressInfo
  const made = await replay(add(), undefined, {
    capture,
    connect: async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    },
    signal: new AbortController().signal,
    eventsMs: 10,
  })
  expect(made).toMatchObject({ kind: 'sse', state: 'done', messageCount: 1, code: undefined })
  expect(detailOf(made, new Secrets()).stopped).toContain('0.01 s')
})

test('what cannot be sent is refused with a code', async () => {
  const { ask, add } = await inspector()
  const { id } = add()
  const cut = add(({ requestBody }) => requestBody.add(Buffer.alloc(2000), () => true))
  const refusal = async (exchange: number, edit: unknown): Promise<unknown> =>
    (await ask(`POST /api/exchanges/${exchange}/replay`, { body: JSON.stringify({ edit }) })).json[
      'code'
    ]
  expect(await refusal(cut.id, undefined)).toBe('replay_impossible')
  expect(await refusal(cut.id, {})).toBe('body_missing')
  expect(await refusal(id, { method: 'G T' })).toBe('method_invalid')
  expect(await refusal(id, { target: 'x' })).toBe('target_invalid')
  expect(await refusal(id, { target: '/a\r\nb' })).toBe('target_invalid')
  expect(await refusal(id, { headers: [{ name: 'a b', value: '' }] })).toBe('header_invalid')
  expect(await refusal(id, { headers: [{ name: 'a', value: 'x\r\ny: z' }] })).toBe('header_invalid')
  expect(await refusal(id, { headers: [{ name: 'a', keep: 99 }] })).toBe('header_invalid')
  expect(await refusal(id, { headers: 'x' })).toBe('body_invalid')
  expect(await refusal(id, 5)).toBe('body_invalid')
  expect((await ask('POST /api/exchanges/99/replay', { body: '{}' })).json['code']).toBe(
    'exchange_gone',
  )
  const other = add((exchange) => Object.assign(exchange, { endpoint: 'gone' }))
  expect(await refusal(other.id, undefined)).toBe('endpoint_unknown')
})

test('pin, clear and import', async () => {
  const { ask, add, capture } = await inspector()
  const first = add()
  add()
  await ask(`POST /api/exchanges/${first.id}/pin`, { body: '{"pinned":true}' })
  const archive = (await ask('GET /api/har')).text
  await ask('POST /api/clear', { body: '{}' })
  expect(capture.store.all()).toEqual([first])
  const read = await ask('POST /api/har', { body: archive })
  expect(read.json).toEqual({ taken: 2, refused: 0 })
  expect(capture.store.size).toBe(3)
})

test('the stream begins with everything, goes on with changes, and resumes by its ids', async () => {
  const { add, port, capture } = await inspector()
  add()
  const open = async (lastEventId?: string) => {
    const asked = httpRequest({
      port,
      host: '127.0.0.1',
      path: '/api/stream',
      headers: {
        host: `localhost:${port}`,
        'x-adit-token': TOKEN,
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
      },
    })
    asked.on('error', () => {})
    asked.end()
    onTestFinished(() => void asked.destroy())
    let text = ''
    asked.on('response', (response) => {
      response.on('error', () => {})
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
    })
    const rows = (): { id: string; reset?: true; rows: { id: number }[]; removed: number[] }[] =>
      [...text.matchAll(/^id: (.*)\nevent: rows\ndata: (.*)$/gm)].map(([, id, data]) => ({
        id,
        ...JSON.parse(data ?? ''),
      }))
    return { asked, rows }
  }
  const first = await open()
  await until(() => first.rows().length === 1)
  expect(first.rows()[0]).toMatchObject({ reset: true, rows: [{ id: 1 }] })
  add()
  await until(() => first.rows().length === 2)
  const [, second] = first.rows()
  expect(second?.reset).toBeUndefined()
  expect(second?.rows.map(({ id }) => id)).toEqual([2])
  first.asked.destroy()
  await until(() => !capture.store.isWatched)
  add()
  const again = await open(second?.id)
  await until(() => again.rows().length === 1)
  expect(again.rows()[0]).toMatchObject({ rows: [{ id: 3 }], removed: [] })
  const other = await open('another-run-1')
  await until(() => other.rows().length === 1)
  expect(other.rows()[0]).toMatchObject({ reset: true })
})

test('where nothing is kept without a page, the last page that closes clears the list', async () => {
  const { add, port, capture } = await inspector(undefined, 0)
  const { store } = capture
  const open = async (): Promise<() => void> => {
    const headers = { host: `localhost:${port}`, 'x-adit-token': TOKEN }
    const asked = httpRequest({ port, host: '127.0.0.1', path: '/api/stream', headers })
    onTestFinished(() => void asked.destroy())
    asked.on('error', () => {})
    asked.end()
    const [response] = await once(asked, 'response')
    response.on('error', () => {})
    response.resume()
    return () => asked.destroy()
  }
  const [closeFirst, closeLast] = [await open(), await open()]
  closeFirst()
  const exchange = add()
  expect(store.isWatched).toBe(true)
  closeLast()
  await until(() => !store.isWatched)
  expect(store.size).toBe(0)
  expect(exchange.requestBody.content).toHaveLength(0)
})
