// The file that proves a domain, fetched from real web servers with names of a DNS server on loopback.
import * as http from 'node:http'
import * as https from 'node:https'
import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { httpProof, type HttpProofOptions } from '../../src/domains/http-proof.ts'
import { PROOF_PATH } from '../../src/proxy/domains.ts'
import { dnsResponder } from './dns-responder.ts'

const SHOP = 'shop.example.net'
const VALUE = 'f'.repeat(40)
/** Nothing listens there. */
const CLOSED = 1
const NEVER = new AbortController().signal
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'

/** A web server, and checks that find it at any address of loopback. */
async function webServer(listener: http.RequestListener, tls?: https.ServerOptions) {
  const seen: string[] = []
  const heard: http.RequestListener = (request, response) => {
    seen.push(`${request.method} ${request.headers.host}${request.url}`)
    listener(request, response)
  }
  const server = tls === undefined ? http.createServer(heard) : https.createServer(tls, heard)
  const running = await listening(server)
  onTestFinished(async () => await running.close())
  return { port: running.port, seen }
}

async function checks(options: HttpProofOptions) {
  const dns = await dnsResponder()
  dns.addresses.set(SHOP, ['127.0.0.1'])
  const check = httpProof({ servers: [dns.address], alsoFrom: ['127.0.0.0/8'], ...options })
  return { dns, look: async () => await check(SHOP, VALUE, NEVER) }
}

test('a file proves a domain only with the value of the claim, in the first bytes of a good answer', async () => {
  let answer: http.RequestListener = (_request, response) => response.end(VALUE)
  const { port, seen } = await webServer((request, response) => answer(request, response))
  const { look } = await checks({ ports: { http: port, https: port } })
  expect(await look()).toBe('proved')
  expect(seen).toEqual([`GET ${SHOP}${PROOF_PATH}`])
  const plain = (status: number, body: string, headers: http.OutgoingHttpHeaders = {}) => {
    return (_: unknown, response: http.ServerResponse) =>
      response.writeHead(status, headers).end(body)
  }
  const other = await webServer(plain(200, VALUE))
  const cases = [
    ['proved', plain(200, `another\r\n${VALUE}\r\n`)],
    ['missing', plain(200, `x${VALUE}`)],
    ['missing', plain(200, '')],
    ['missing', plain(200, `${'x\n'.repeat(600)}${VALUE}`)],
    ['missing', plain(404, VALUE)],
    ['missing', plain(401, VALUE)],
    ['missing', plain(302, VALUE, { location: `http://127.0.0.1:${other.port}${PROOF_PATH}` })],
    ['missing', plain(301, VALUE, { location: `https://${SHOP}.evil.example${PROOF_PATH}` })],
    ['missing', plain(301, VALUE, { location: `https://${SHOP}/login` })],
    ['unknown', plain(503, VALUE)],
    ['unknown', plain(429, VALUE)],
    ['unknown', plain(200, VALUE, { 'x-long': 'x'.repeat(10_000) })],
    ['unknown', (request: http.IncomingMessage) => request.socket.destroy()],
    ['unknown', (request: http.IncomingMessage) => request.socket.write(SWITCHING)],
  ] as const
  for (const [found, next] of cases) {
    answer = next
    expect.soft([await look(), String(next)]).toEqual([found, String(next)])
  }
  expect(other.seen).toEqual([])
})

test('a redirect to HTTPS of the same name is followed once, with a certificate that is good', async () => {
  const authority = certificateAuthority()
  const good = authority.issue({ name: SHOP, hosts: [SHOP] })
  const wrong = authority.issue({ name: 'other.example', hosts: ['other.example'] })
  const location = `https://${SHOP}${PROOF_PATH}`
  const leads = await webServer((_request, response) => response.writeHead(301, { location }).end())
  const secure = await webServer((_request, response) => response.end(VALUE), good)
  const foreign = await webServer((_request, response) => response.end(VALUE), wrong)
  const circle = await webServer((_request, response) => {
    response.writeHead(301, { location }).end(VALUE)
  }, good)
  const found = async (http: number, https: number) =>
    await (await checks({ ports: { http, https }, ca: authority.cert })).look()
  expect(await found(leads.port, secure.port)).toBe('proved')
  expect(secure.seen).toEqual([`GET ${SHOP}${PROOF_PATH}`])
  expect(await found(leads.port, foreign.port)).toBe('unknown')
  expect(await found(leads.port, circle.port)).toBe('missing')
  expect(circle.seen).toHaveLength(1)
  // A server that has TLS only, and none at all.
  expect(await found(CLOSED, secure.port)).toBe('proved')
  expect(await found(CLOSED, CLOSED)).toBe('missing')
})

test('only addresses of the Internet are asked, and each is asked as it was looked up', async () => {
  const { port, seen } = await webServer((_request, response) => response.end(VALUE))
  const ports = { http: port, https: port }
  const { dns, look } = await checks({ ports, alsoFrom: [] })
  const refused = [
    '127.0.0.1',
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '169.254.169.254',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    [0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, 0xff_ff, 0x7f_00, 1], // ::ffff:127.0.0.1
    [0x64, 0xff_9b, 0, 0, 0, 0, 0x7f_00, 1], // NAT64
    [0x20_02, 0x7f_00, 1, 0, 0, 0, 0, 1], // 6to4
    [0xfc_00, 0, 0, 0, 0, 0, 0, 1],
    [0xfe_80, 0, 0, 0, 0, 0, 0, 1],
    [0xff_02, 0, 0, 0, 0, 0, 0, 1],
  ]
  for (const address of refused) {
    dns.addresses.set(SHOP, [address])
    expect.soft([address, await look()]).toEqual([address, 'missing'])
  }
  expect(seen).toEqual([])
  // The others are passed over, not the whole domain.
  const open = httpProof({ servers: [dns.address], alsoFrom: ['127.0.0.1'], ports })
  dns.addresses.set(SHOP, ['10.1.2.3', '127.0.0.1'])
  expect(await open(SHOP, VALUE, NEVER)).toBe('proved')
})

test('an address that does not answer leaves the next one time enough', async () => {
  const asked: string[] = []
  const server = http.createServer(({ socket }, response) => {
    asked.push(socket.localAddress ?? '')
    if (socket.localAddress === '127.0.0.2') response.end(VALUE)
  })
  const running = await listening(server, '0.0.0.0')
  onTestFinished(async () => await running.close())
  const { port } = running
  const { dns, look } = await checks({ ports: { http: port, https: port } })
  dns.addresses.set(SHOP, ['127.0.0.1', '127.0.0.2'])
  expect(await look()).toBe('proved')
  expect(asked).toEqual(['127.0.0.1', '127.0.0.2'])
})

test('a DNS server that fails says nothing, one without the name does, and a stop ends a check', async () => {
  const { port, seen } = await webServer(() => {})
  const { dns, look } = await checks({ ports: { http: port, https: port } })
  dns.isBroken = true
  expect(await look()).toBe('unknown')
  dns.isBroken = false
  dns.addresses.clear()
  expect(await look()).toBe('missing')
  dns.addresses.set(SHOP, ['127.0.0.1'])
  const stop = new AbortController()
  const check = httpProof({
    servers: [dns.address],
    alsoFrom: ['127.0.0.1'],
    ports: { http: port, https: port },
  })
  const ended = check(SHOP, VALUE, stop.signal)
  await until(() => seen.length === 1)
  stop.abort()
  expect(await ended).toBe('unknown')
})
