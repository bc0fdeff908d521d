// Rules in front of web servers of Debian: requests one after another on one stream, with a body too, and the
// redirects that they write with their own name.
import {
  apacheServer,
  caddyServer,
  gunicornServer,
  nginxServer,
  webPrograms,
} from '@proj/testkit/web-programs'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { realProxy, type RealProxy } from '@proj/testkit/real-proxy'
import { until } from '@proj/testkit/until'
import { afterAll, expect, onTestFinished, test } from 'vitest'

import { request, served } from '../served.ts'

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
