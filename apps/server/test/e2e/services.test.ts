// examples/https-service, examples/several-services and examples/health, with the programs as a user has them.
import { createServer } from 'node:https'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'

import { adit, startAgent, startServer } from './programs.ts'
import { httpService, visit } from './services.ts'

const EXAMPLES = fileURLToPath(new URL('../../../../examples/', import.meta.url))

async function startExample(name: string, env: Readonly<Record<string, string>>): Promise<void> {
  const agent = adit(['start', '--config', join(EXAMPLES, name, 'agent.yaml'), '--json'], { env })
  await agent.event('ready')
}

test('a service with a certificate of an authority of its own, and without that authority', async () => {
  const authority = certificateAuthority()
  using folder = temporaryDirectory()
  folder.write('service-ca.pem', authority.cert)
  const made = createServer(authority.issue({ name: 'service' }), (_, response) =>
    response.end('hello'),
  )
  await using service = await listening(made)
  const server = await startServer()
  const url = `http://127.0.0.1:${server.ports.upstream}`
  await startExample('https-service', {
    ADIT_SERVER: url,
    SERVICE_PORT: String(service.port),
    TLS_DIR: folder.path,
  })
  expect((await visit(server.ports.proxy)).body.toString()).toBe('hello')

  const untrusted = await startServer()
  const agent = await startAgent('http', 'web', `https://localhost:${service.port}`, untrusted)
  expect((await visit(untrusted.ports.proxy)).headers['adit-error']).toBe('service_unreachable')
  await until(() => agent.stderr.includes('tls.root_cas'), { what: 'the setting in the log' })
})

test('several services, a folder, a redirect and a fixed answer below one name', async () => {
  const web = await httpService((incoming, response) => response.end(`web ${incoming.url}`))
  const api = await httpService((incoming, response) => response.end(`api ${incoming.url}`))
  const server = await startServer()
  await startExample('several-services', {
    ADIT_SERVER: `http://127.0.0.1:${server.ports.upstream}`,
    WEB_PORT: String(web.port),
    API_PORT: String(api.port),
  })
  const asked = async (path: string): Promise<string> => {
    const { status, headers, body } = await visit(server.ports.proxy, path)
    expect(headers['x-frame-options']).toBe('DENY')
    return `${status} ${headers['location'] ?? body.toString().trim()}`
  }
  expect(await asked('/page')).toBe('200 web /page')
  expect(await asked('/api/users?a=b')).toBe('200 api /users?a=b')
  expect(await asked('/files/readme.txt')).toBe('200 A file of the folder.')
  expect(await asked('/old')).toBe('301 /new')
  expect(await asked('/robots.txt')).toBe('200 User-agent: *')
})

test('a service that is down leaves its visitors to the other one, and comes back', async () => {
  const states = [200, 200]
  const services = await Promise.all(
    [0, 1].map((at) =>
      httpService((incoming, response) => {
        response.writeHead(incoming.url === '/ready' ? (states[at] ?? 0) : 200).end(String(at))
      }),
    ),
  )
  const server = await startServer()
  for (const { port } of services) {
    await startExample('health', {
      ADIT_SERVER: `http://127.0.0.1:${server.ports.upstream}`,
      SERVICE_PORT: String(port),
      HEALTH_INTERVAL: '100ms',
    })
  }
  const answers = async (): Promise<string> => {
    const seen = new Set<string>()
    for (let turn = 0; turn < 4; turn++) {
      const { status, headers, body } = await visit(server.ports.proxy)
      seen.add(status === 200 ? body.toString() : `${status} ${headers['adit-error']}`)
    }
    return [...seen].toSorted().join(' ')
  }
  await until(async () => (await answers()) === '0 1')
  states[0] = 503
  await until(async () => (await answers()) === '1')
  states[1] = 503
  await until(async () => (await answers()) === '502 service_down')
  states[0] = 200
  await until(async () => (await answers()) === '0')
  expect(await answers()).toBe('0')
})
