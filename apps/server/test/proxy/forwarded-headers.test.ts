import { exchangeRaw } from '@proj/testkit/raw-http'
import { expect, it } from 'vitest'

import type { ProxyOptions } from '../../src/proxy/proxy-options.ts'
import { request, tunnel } from '../tunnel-fixture.ts'

/** What the service sees of a request with these headers. */
async function seen(
  headers: readonly string[],
  edge?: ProxyOptions,
): Promise<Record<string, string | string[] | undefined>> {
  await using path = await tunnel({
    http: (req, res) => res.end(JSON.stringify(req.headers)),
    ...(edge !== undefined && { edge }),
  })
  const answer = await exchangeRaw(path.port, request('GET /', ...headers))
  return JSON.parse(answer.body.toString())
}

it('keeps Host and sets the forwarding headers from the connection', async () => {
  const headers = await seen(['X-Forwarded-For: 9.9.9.9', 'X-Forwarded-Proto: https'])
  expect(headers).toMatchObject({
    host: 'web.localhost',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'web.localhost',
    'x-piko-forward': 'true',
  })
})

it('trusts as many forwarded hops as trustedHops says', async () => {
  const headers = await seen(['X-Forwarded-For: 6.6.6.6, 9.9.9.9', 'X-Forwarded-Proto: https'], {
    trustedHops: 1,
  })
  expect(headers).toMatchObject({
    'x-forwarded-for': '9.9.9.9, 127.0.0.1',
    'x-forwarded-proto': 'https',
  })
})

it('takes hop-by-hop headers off, and what Connection names', async () => {
  const headers = await seen([
    'Connection: keep-alive, X-Secret-Hop',
    'Keep-Alive: timeout=5',
    'X-Secret-Hop: 1',
    'Proxy-Authorization: Basic abc',
    'TE: trailers, deflate',
    'X-Stays: yes',
  ])
  expect(headers).not.toHaveProperty('x-secret-hop')
  expect(headers).not.toHaveProperty('keep-alive')
  expect(headers).not.toHaveProperty('proxy-authorization')
  expect(headers).toMatchObject({ te: 'trailers', 'x-stays': 'yes' })
})

it('never passes the Piko credential on, and leaves the service its own', async () => {
  const headers = await seen([
    'X-Piko-Authorization: Bearer secret',
    'Authorization: Basic dXNlcg==',
  ])
  expect(headers).not.toHaveProperty('x-piko-authorization')
  expect(headers).toMatchObject({ authorization: 'Basic dXNlcg==' })
})

it('lets x-piko-endpoint choose over the host', async () => {
  await using path = await tunnel({ http: (_, res) => res.end('found') })
  const answer = await exchangeRaw(
    path.port,
    'GET / HTTP/1.1\r\nHost: other.example.com\r\nX-Piko-Endpoint: web\r\n\r\n',
  )
  expect(answer.body.toString()).toBe('found')
})

it('takes off every header that a visitor could pose as another client with', async () => {
  const headers = await seen([
    'X-Real-IP: 6.6.6.6',
    'x_real_ip: 6.6.6.6',
    'CF-Connecting-IP: 6.6.6.6',
    'True-Client-IP: 6.6.6.6',
    'X_Forwarded_Prefix: /evil',
    'X-Forwarded_For: 6.6.6.6',
    'Forwarded: for=6.6.6.6',
    'Connection: close, x-forwarded-for, x-request-id, adit-hops',
  ])
  expect(JSON.stringify(headers)).not.toMatch(/6\.6\.6\.6|evil/)
  expect(headers).toMatchObject({ 'x-forwarded-for': '127.0.0.1', 'adit-hops': '1' })
  expect(headers['x-request-id']).toBeDefined()
})

it('takes adit-error off what a service answers, interim answers too', async () => {
  await using path = await tunnel({
    tcp: (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 103 Early Hints\r\nadit-error: no_upstream\r\n\r\n')
        socket.write('HTTP/1.1 502 Bad\r\nAdit-Error: no_upstream\r\nContent-Length: 0\r\n\r\n')
      })
    },
  })
  using visitor = await path.visit()
  await visitor.send(request('GET /'))
  const interim = await visitor.readResponse()
  const answer = await visitor.readResponse()
  expect([interim.status, answer.status]).toEqual([103, 502])
  expect({ ...interim.headers, ...answer.headers }).not.toHaveProperty('adit-error')
})

it('passes the context of a trace on unchanged', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const headers = await seen([
    `traceparent: ${traceparent}`,
    'tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
    'baggage: userId=alice,isProduction=false',
  ])
  expect(headers).toMatchObject({
    traceparent,
    tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
    baggage: 'userId=alice,isProduction=false',
  })
})
