// Rules in front of express and web servers of Debian: requests one after another on one stream, with a body too, and the
// redirects that they write with their own name.
import { createServer, type RequestListener } from 'node:http'

import {
  apacheServer,
  caddyServer,
  gunicornServer,
  haproxyServer,
  nginxServer,
  webPrograms,
} from '@proj/testkit/web-programs'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { realProxy, type RealProxy } from '@proj/testkit/real-proxy'
import { until } from '@proj/testkit/until'
// @ts-expect-error -- it brings no types
import express from 'express'
import { afterAll, expect, onTestFinished, test } from 'vitest'

import { request, served } from '../served.ts'

/** The part of express that is used here. */
interface ExpressApp extends RequestListener {
  set(name: string, value: string): void
  use(middleware: unknown): void
  post(path: string, handler: (request: ExpressRequest, response: ExpressResponse) => void): void
  get(path: string, handler: (request: ExpressRequest, response: ExpressResponse) => void): void
}

interface ExpressRequest {
  readonly body: unknown
  readonly ip: string
  readonly originalUrl: string
}

interface ExpressResponse {
  json(value: unknown): void
  cookie(name: string, value: string): void
  redirect(url: string): void
}

const { json: jsonBodies } = express as { json: () => unknown }

const folder = temporaryDirectory()
afterAll(() => folder[Symbol.dispose]())
const programs = webPrograms()

async function started(starting: Promise<RealProxy>): Promise<string> {
  const server = await starting
  onTestFinished(async () => await server.stop())
  return server.authority
}

test.for([
  ['nginx', programs.nginx, nginxServer],
  ['caddy', programs.caddy, caddyServer],
  ['apache', programs.apache, apacheServer],
  ['gunicorn', programs.gunicorn, gunicornServer],
  ['haproxy', programs.haproxy, haproxyServer],
] as const)('%s answers requests in turn', async ([name, program, start], { skip }) => {
  skip(program === undefined, `no ${name}`)
  const authority = await started(start(program ?? ''))
  const rules = "host_header: service, response_headers: ['X-Behind: {endpoint}']"
  const one = await served(folder, `addr: '${authority}', ${rules}`)
  const stream = one.open()
  const asked = [
    request('GET /marker'),
    `${request('POST /marker', 'Content-Length: 5')}hello`,
    `${request('POST /marker', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`,
    request('HEAD /marker'),
    request('GET /nowhere'),
    request('GET /marker'),
  ]
  for (const [at, bytes] of asked.entries()) {
    stream.write(bytes)
    await until(() => stream.text().split('X-Behind: web\r\n').length >= at + 2, {
      what: `answer ${at}`,
    })
  }
  await until(() => stream.text().endsWith('marker'))
  // An answer that a body is not read for ends the connection with the service, not the stream.
  expect([stream.hasEnded(), stream.reason()]).toEqual([false, undefined])
})

test('nginx redirects to a folder by its own name, and the visitor gets the public one', async ({
  skip,
}) => {
  skip(programs.nginx === undefined, 'no nginx')
  const port = 3129
  const authority = await started(
    realProxy(
      programs.nginx ?? '',
      (path, host) => ({
        'docs/index.html': 'docs',
        'nginx.conf': `daemon off; master_process off; pid ${path}/pid; events {}
          http { access_log off;
            ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${path}/${kind};`).join(' ')}
            server { listen ${host}:${port}; root ${path}; } }`,
      }),
      (path) => ['-c', `${path}/nginx.conf`, '-e', 'stderr', '-p', path],
      port,
    ),
  )
  const one = await served(folder, `addr: '${authority}', host_header: service`)
  const answer = await one.ask(request('GET /docs', 'X-Forwarded-Proto: https'), '\r\n\r\n')
  expect(answer).toMatch(/^HTTP\/1\.1 301 /)
  expect(answer).toContain('Location: https://web.tunnel.example/docs/\r\n')
})

test.for(['', ', host_header: service'])(
  'express has the visitor and its body%s',
  async (rules) => {
    const app = express() as ExpressApp
    app.set('trust proxy', 'loopback')
    app.use(jsonBodies())
    app.post('/echo', (incoming, response) => {
      response.json({ body: incoming.body, ip: incoming.ip, at: incoming.originalUrl })
    })
    app.get('/go', (_, response) => {
      response.cookie('seen', '1')
      response.redirect('/there')
    })
    const service = await listening(createServer(app))
    onTestFinished(() => service.close())
    const one = await served(folder, `addr: ${service.port}${rules}`)
    const stream = one.open()
    const forwarded = 'X-Forwarded-For: 192.0.2.7'
    const json = ['Content-Type: application/json', 'Content-Length: 9']
    stream.write(`${request('POST /echo?a=b', forwarded, ...json)}{"a":"b"}`)
    const echoed = { body: { a: 'b' }, ip: '192.0.2.7', at: '/echo?a=b' }
    await until(() => stream.text().endsWith(JSON.stringify(echoed)))
    stream.write(request('GET /go', forwarded))
    await until(() => stream.text().includes('Location: /there\r\n'))
    expect(stream.text()).toContain('Set-Cookie: seen=1; Path=/\r\n')
  },
)
