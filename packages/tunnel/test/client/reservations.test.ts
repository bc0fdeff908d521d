// The client of the reservations API against hand-written answers; apps/server has the real thing.
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { inspect } from 'node:util'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { describe, expect, onTestFinished, test } from 'vitest'

import { releaseName, reservedNames, reserveName } from '../../src/client/reservations.ts'
import { deadAddress } from '../peers.ts'

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly from: string | undefined
}

/** A server that answers everything alike and keeps what it was asked. */
async function answering(status: number, body: string, secure?: { key: string; cert: string }) {
  const seen: Seen[] = []
  const handler: RequestListener = (request, response) => {
    void request.toArray().then((chunks) => {
      const { method, url, headers, socket } = request
      const text = Buffer.concat(chunks as Buffer[]).toString()
      seen.push({ method, url, headers, body: text, from: socket.remoteAddress })
      response.writeHead(status).end(body)
    })
  }
  const listen = await listening(
    secure === undefined ? createServer(handler) : createSecureServer(secure, handler),
  )
  onTestFinished(() => listen.close())
  return { seen, listen, url: `http://${listen.authority}` }
}

const WEB = { endpoint: 'web', kind: 'http', identity: 'a', since: 'then', sessions: 0 }

test('a name is asked for as JSON, with the credentials of an agent', async () => {
  const { seen, url } = await answering(201, JSON.stringify(WEB))
  const server = { url: `${url}/prefix/`, token: () => 'secret', tenantId: 'acme' }
  expect(await reserveName(server, 'ünï', { kind: 'tcp' })).toEqual(WEB)
  expect(seen).toMatchObject([
    {
      method: 'PUT',
      url: '/prefix/adit/v1/reservations/%C3%BCn%C3%AF',
      body: '{"kind":"tcp"}',
      headers: {
        authorization: 'Bearer secret',
        'x-piko-tenant-id': 'acme',
        'content-type': 'application/json',
      },
    },
  ])
})

test('names are listed and given up', async () => {
  const list = await answering(200, JSON.stringify({ reservations: [WEB] }))
  expect(await reservedNames({ url: list.url })).toEqual([WEB])
  expect(list.seen).toMatchObject([{ method: 'GET', url: '/adit/v1/reservations', body: '' }])
  const release = await answering(204, '')
  await releaseName({ url: release.url.replace('http', 'ws') }, 'web')
  expect(release.seen).toMatchObject([{ method: 'DELETE', url: '/adit/v1/reservations/web' }])
})

test('the request leaves from the address that is asked for', async () => {
  const { seen, url } = await answering(200, '{"reservations":[]}')
  await reservedNames({ url, connect: { localAddress: ['127.0.0.7'] } })
  expect(seen).toMatchObject([{ from: '127.0.0.7' }])
})

test('TLS is verified with the authorities that are given', async () => {
  const authority = certificateAuthority()
  const certificate = authority.issue({ name: 'server', hosts: ['127.0.0.1'] })
  const { listen, seen } = await answering(200, '{"reservations":[]}', certificate)
  const url = `https://${listen.authority}`
  await reservedNames({ url, connect: { tls: { ca: authority.cert } } })
  expect(seen).toHaveLength(1)
  await expect(reservedNames({ url })).rejects.toMatchObject({ name: 'DialError' })
  expect(seen).toHaveLength(1)
})

describe('a refusal', () => {
  test.for([
    [401, '{"error":"expired token"}', 'TUNNEL_UNAUTHORIZED', '401: expired token'],
    [
      404,
      '404 page not found',
      'TUNNEL_RESERVATION_REFUSED',
      /does not keep names and domains: it answered 404/,
    ],
    [409, '{"error":"no more","code":"limit-reached"}', 'TUNNEL_RESERVATION_REFUSED', 'no more'],
    [502, '<html>', 'TUNNEL_RESERVATION_REFUSED', /it answered 502/],
  ] as const)('%d %s', async ([status, body, code, message]) => {
    const { url } = await answering(status, body)
    const outcome = releaseName({ url }, 'web')
    await expect(outcome).rejects.toMatchObject({ code, status })
    await expect(outcome).rejects.toThrow(message)
  })

  test('because somebody has the name says who, since when and when to come back', async () => {
    const body = { error: 'taken', code: 'name-taken', holder: 'session', since: 'then' }
    const { url } = await answering(409, JSON.stringify({ ...body, retryAfterMs: 3000 }))
    await expect(reserveName({ url }, 'web')).rejects.toMatchObject({
      code: 'TUNNEL_NAME_TAKEN',
      holder: 'session',
      since: 'then',
      retryAfterMs: 3000,
    })
  })

  test('shows no token', async () => {
    const { url } = await answering(404, '')
    const error = await reserveName({ url, token: 'secret' }, 'web').catch((caught) => caught)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('secret')
  })
})

test('a name that cannot be used is not asked for', async () => {
  const { seen, url } = await answering(200, '')
  for (const name of ['', 'a/b', 'a b']) {
    await expect(reserveName({ url }, name)).rejects.toMatchObject({
      code: 'TUNNEL_ENDPOINT_INVALID',
    })
  }
  expect(seen).toEqual([])
})

test('a server that cannot be reached is a DialError', async () => {
  const { host, port } = await deadAddress()
  await expect(reservedNames({ url: `http://${host}:${port}` })).rejects.toMatchObject({
    name: 'DialError',
  })
})

test('a server that does not answer is waited for until the signal aborts', async () => {
  const server = createServer(() => {})
  const listen = await listening(server)
  onTestFinished(() => listen.close())
  const stop = new AbortController()
  server.once('request', () => stop.abort(new Error('enough')))
  const url = `http://${listen.authority}`
  await expect(reservedNames({ url }, { signal: stop.signal })).rejects.toThrow('enough')
})

test('a server that switches protocols gives no answer', async () => {
  const server = createServer(({ socket }) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
  })
  const listen = await listening(server)
  onTestFinished(() => listen.close())
  await expect(reservedNames({ url: `http://${listen.authority}` })).rejects.toMatchObject({
    code: 'TUNNEL_RESERVATION_REFUSED',
  })
})

test('an answer without end is not read to its end', async () => {
  const { url } = await answering(200, 'x'.repeat(16 * 1024 * 1024 + 1))
  await expect(reservedNames({ url })).rejects.toThrow(
    'no answer from the server: it is longer than 16777216 bytes',
  )
})
