// A service with TLS behind the agent, and what its operator reads when the settings do not fit the service.
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import { createServer, type Server } from 'node:net'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { resetReasonName } from '@proj/tunnel/io'
import { afterAll, expect, onTestFinished, test } from 'vitest'

import { serviceParts } from '../../src/listeners/service-parts.ts'
import { listenerOf, request, served, type Served } from './served.ts'

const authority = certificateAuthority()
const client = authority.issue({ name: 'agent', usage: 'client' })
const folder = temporaryDirectory()
afterAll(() => folder[Symbol.dispose]())
folder.write('ca.pem', authority.cert)
folder.write('client.pem', client.cert)
folder.write('client.key', client.key)

const hello: RequestListener = (_request, response) => response.end('hello')

async function portOf(server: Server): Promise<number> {
  const one = await listening(server)
  onTestFinished(() => one.close())
  return one.port
}

async function https(options: ServerOptions = {}, hosts?: readonly string[]): Promise<number> {
  const made = authority.issue({ name: 'service', ...(hosts !== undefined && { hosts }) })
  return await portOf(createHttpsServer({ ...made, ...options }, hello))
}

const CLIENT = 'root_cas: ca.pem, cert: client.pem, key: client.key'
const STRICT = { requestCert: true, rejectUnauthorized: true, ca: authority.cert }

test.each([
  ['of an authority in root_cas', 'root_cas: ca.pem', undefined, {}],
  ['that is not verified', 'insecure_skip_verify: true', undefined, {}],
  ['for another name', 'root_cas: ca.pem, server_name: in.example', ['in.example'], {}],
  ['with one of the agent', CLIENT, undefined, STRICT],
])('an https service with a certificate %s answers', async (_, tls, hosts, options) => {
  const port = await https(options, hosts)
  const { ask } = await served(folder, `addr: 'https://localhost:${port}', tls: { ${tls} }`)
  expect(await ask(request('GET /'), 'hello')).toContain('HTTP/1.1 200 OK')
})

/** Asks once, and resolves with the log line that says why there was no answer. */
async function complaint({ open, logger }: Served): Promise<Record<string, unknown>> {
  const stream = open()
  stream.write(request('GET /'))
  const record = await until(() => logger.records.find(({ level }) => level === 'warn'), {
    what: 'a warning of the agent',
  })
  return { message: record.message, ...record.fields }
}

test.each([
  ['tls.root_cas', 'DIAL_TLS_UNTRUSTED', '', undefined, {}],
  ['tls.server_name', 'DIAL_TLS_NAME', 'root_cas: ca.pem', ['in.example'], {}],
  [
    'tls.cert',
    'DIAL_TLS_CLIENT_CERT',
    'root_cas: ca.pem',
    undefined,
    { ...STRICT, maxVersion: 'TLSv1.2' },
  ],
] as const)('names %s after %s', async (name, code, tls, hosts, options) => {
  const port = await https(options, hosts)
  const one = await served(folder, `addr: 'https://localhost:${port}', tls: { ${tls} }`)
  expect(await complaint(one)).toMatchObject({ err: { code }, hint: expect.stringContaining(name) })
  expect(one.made.lastFailure).toMatchObject({ code, text: expect.stringContaining(name) })
})

test('names tls.cert after an alert behind the handshake, where TLS 1.3 has it', async () => {
  const port = await https({ ...STRICT, minVersion: 'TLSv1.3' })
  const one = await served(folder, `addr: 'https://localhost:${port}', tls: { root_cas: ca.pem }`)
  expect(await complaint(one)).toMatchObject({ hint: expect.stringContaining('tls.cert') })
})

test('a plain service that is asked by TLS: the message says that, and what to write', async () => {
  const port = await portOf(createHttpServer(hello))
  const one = await served(folder, `addr: 'https://localhost:${port}'`)
  const stream = one.open()
  stream.write(request('GET /'))
  await until(() => stream.reason() !== undefined)
  expect(resetReasonName(stream.reason() ?? 0)).toBe('serviceUnreachable')
  expect(one.made.lastFailure).toMatchObject({
    code: 'DIAL_TLS_PROTOCOL',
    text: 'the service does not use TLS: write http:// in place of https:// in addr',
  })
})

test('a service with TLS that closes the connection of a plain request: the message says that', async () => {
  const port = await https()
  const one = await served(folder, `addr: 'localhost:${port}'`)
  expect(await complaint(one)).toMatchObject({
    message: 'the service expects TLS, and was asked without',
    hint: `write https://localhost:${port} in place of localhost:${port}`,
  })
})

test('a service that sends an alert of TLS: the message says that, without another connection', async () => {
  let connections = 0
  const port = await portOf(
    createServer((socket) => {
      connections += 1
      socket.once('data', () => socket.end(Buffer.of(0x15, 3, 3, 0, 2, 2, 10)))
    }),
  )
  const one = await served(folder, `addr: 'localhost:${port}'`)
  expect(await complaint(one)).toMatchObject({
    message: 'the service expects TLS, and was asked without',
  })
  expect(connections).toBe(1)
})

test('a plain service that closes without an answer is asked once whether it has TLS, and nothing is said', async () => {
  let connections = 0
  const port = await portOf(
    createServer((socket) => {
      connections += 1
      socket.once('data', () => socket.end())
    }),
  )
  const one = await served(folder, `addr: 'localhost:${port}'`)
  for (const wanted of [2, 3]) {
    const stream = one.open()
    stream.write(request('GET /'))
    await until(() => stream.hasEnded() && connections >= wanted)
  }
  expect(connections).toBe(3)
  expect(one.logger.records.filter(({ level }) => level === 'warn')).toEqual([])
})

test.each([
  ['addr: 3000, tls: { root_cas: ca.pem }', 'listeners[0].tls.root_cas'],
  ['addr: 3000, tls: { insecure_skip_verify: true }', 'listeners[0].tls.insecure_skip_verify'],
  ["addr: 'https://localhost', tls: { cert: client.pem }", 'listeners[0].tls.cert'],
  ["addr: 'https://localhost', protocol: tcp", 'listeners[0].addr'],
])('the settings %s are an error', async (listener, key) => {
  const { problems } = await listenerOf(folder, listener)
  expect(problems).toMatchObject([{ key, severity: 'error' }])
})

test.each([
  ['without a certificate', 'none.pem', 'CONFIG_CERTIFICATE_INVALID'],
  ['that is missing', 'missing.pem', 'CONFIG_FILE_UNREADABLE'],
])('a file %s in root_cas is an error of the start that names it', async (_, file, code) => {
  folder.write('none.pem', client.key)
  const { setting } = await listenerOf(
    folder,
    `addr: 'https://localhost', tls: { root_cas: ${file} }`,
  )
  const parts = setting === undefined ? undefined : serviceParts(setting)
  await expect(parts).rejects.toMatchObject({
    code,
    exitCode: 2,
    message: expect.stringMatching(/^listener web: tls\.root_cas: .*(none|missing)\.pem/),
  })
})
