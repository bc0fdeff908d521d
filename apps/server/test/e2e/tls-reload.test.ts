// Certificates that are renewed while the server runs, as certbot and Kubernetes put them there.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { renameSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { connect } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { type CertificateAndKey, certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, onTestFinished, test } from 'vitest'

import { aditServer, portsOf, startServer } from './programs.ts'
import { aditTo, secureServer } from './secure-server.ts'
import { httpService } from './services.ts'

/** Serial number of the certificate that a new handshake is shown. */
async function serialAt(port: number): Promise<string> {
  const client = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  await once(client, 'secureConnect')
  const { serialNumber } = client.getPeerCertificate()
  client.destroy()
  return serialNumber
}

function serialOf({ cert }: CertificateAndKey): string {
  return new X509Certificate(cert).serialNumber
}

test('a new certificate is for new handshakes; a download that runs is not disturbed', async () => {
  const pieces = 64
  const service = await httpService((_request, response) => {
    void pipeline(
      Readable.from(
        (async function* slowly() {
          for (let piece = 0; piece < pieces; piece++) {
            if (piece === pieces / 2) await renewed
            yield Buffer.alloc(64 * 1024, piece)
          }
        })(),
      ),
      response,
    )
  })
  let onRenewed: () => void = () => {}
  const renewed = new Promise<void>((resolve) => (onRenewed = resolve))
  const server = await secureServer()
  const agent = aditTo(server, 'upstream', ['http', 'web', String(service.port), '--json'])
  await agent.event('ready')
  const asked = get({
    host: 'localhost',
    port: server.ports.proxy,
    ca: server.authority.cert,
    headers: { host: 'web.localhost' },
    agent: false,
  })
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const received = buffer(answer)

  const next = server.authority.issue({ name: 'next' })
  server.write('server.key', next.key)
  server.write('server.pem', next.cert)
  for (const name of ['proxy', 'upstream', 'admin'] as const) {
    await server.process.line((line) => line.includes('new certificate') && line.includes(name))
    expect(await serialAt(server.ports[name])).toBe(serialOf(next))
  }
  onRenewed()
  const whole = Buffer.concat(
    Array.from({ length: pieces }, (_, piece) => Buffer.alloc(64 * 1024, piece)),
  )
  expect((await received).equals(whole)).toBe(true)
  // The agent's sessions live on as well: nothing had to be connected anew.
  expect(agent.stderr).not.toMatch(/reconnect|"level":"(warn|error)"/)
})

test('a file that does not fit leaves the old certificate in use and says so, until it fits', async () => {
  const server = await secureServer()
  const before = await serialAt(server.ports.proxy)
  const next = server.authority.issue({ name: 'next' })
  server.write('server.pem', next.cert)
  const line = JSON.parse(await server.process.line(/"listener":"proxy".*TLS_KEY_MISMATCH/))
  expect(line).toMatchObject({
    level: 'error',
    why: expect.stringContaining('server.key'),
    hint: expect.stringMatching(/\w/),
    msg: 'new certificate refused, the old one stays in use',
  })
  expect(await serialAt(server.ports.proxy)).toBe(before)
  server.write('server.key', next.key)
  await server.process.line(/"listener":"proxy".*new certificate in use/)
  expect(await serialAt(server.ports.proxy)).toBe(serialOf(next))
  expect(server.process.stderr).not.toContain('PRIVATE KEY')
})

describe('files behind links', () => {
  const authority = certificateAuthority()

  /** A server whose proxy port reads two links, and what swaps them. */
  async function linked(how: 'certbot' | 'kubernetes') {
    const folder = temporaryDirectory()
    onTestFinished(() => folder[Symbol.dispose]())
    const put = (version: string): string => {
      const pair = authority.issue({ name: version })
      folder.write(join(version, 'tls.crt'), pair.cert)
      folder.write(join(version, 'tls.key'), pair.key)
      return serialOf(pair)
    }
    const swap = (target: string, name: string): void => {
      symlinkSync(target, join(folder.path, `${name}.new`))
      renameSync(join(folder.path, `${name}.new`), join(folder.path, name))
    }
    folder.write(join('live', 'README'), '')
    const point = (version: string): void => {
      if (how === 'kubernetes') swap(version, join('live', '..data'))
      else {
        for (const file of ['tls.crt', 'tls.key']) {
          swap(join('..', version, file), join('live', file))
        }
      }
    }
    const at = (version: string): string => (how === 'kubernetes' ? join('live', version) : version)
    put(at('..1'))
    if (how === 'kubernetes') {
      for (const file of ['tls.crt', 'tls.key']) {
        symlinkSync(join('..data', file), join(folder.path, 'live', file))
      }
    }
    point('..1')
    const file = (name: string): string => join(folder.path, 'live', name)
    const server = await startServer(undefined, [
      `--proxy.tls.cert=${file('tls.crt')}`,
      `--proxy.tls.key=${file('tls.key')}`,
    ])
    return { server, renew: () => [put(at('..2')), point('..2')][0] }
  }

  test.for(['certbot', 'kubernetes'] as const)('that %s swaps are taken', async (how) => {
    const { server, renew } = await linked(how)
    const serial = renew()
    await server.process.line(/new certificate in use/)
    expect(await serialAt(server.ports.proxy)).toBe(serial)
  })
})

test('SIGHUP reads certificates again, also without a configuration file', async () => {
  const server = await secureServer()
  server.process.kill('SIGHUP')
  server.process.kill('SIGHUP')
  const next = server.authority.issue({ name: 'next' })
  server.write('server.pem', next.cert)
  server.write('server.key', next.key)
  server.process.kill('SIGHUP')
  await server.process.line(/"listener":"proxy".*new certificate in use/)
  expect(await serialAt(server.ports.proxy)).toBe(serialOf(next))
})

test('a configuration that names other files is taken; TLS on or off needs a restart', async () => {
  using folder = temporaryDirectory()
  const authority = certificateAuthority()
  const [one, two] = [authority.issue({ name: 'one' }), authority.issue({ name: 'two' })]
  for (const [name, { cert, key }] of Object.entries({ one, two })) {
    folder.write(`${name}.pem`, cert)
    folder.write(`${name}.key`, key)
  }
  const configure = (name: string, rest = ''): string =>
    folder.write(
      'server.yaml',
      `proxy: {bind_addr: '127.0.0.1:0', tls: {cert: ${name}.pem, key: ${name}.key}}
upstream: {bind_addr: '127.0.0.1:0'${rest}}
admin: {bind_addr: '127.0.0.1:0'}
`,
    )
  const server = aditServer(['-c', configure('one'), '--json'])
  const { proxy } = portsOf(await server.event('ready'))
  expect(await serialAt(proxy)).toBe(serialOf(one))
  configure('two')
  server.kill('SIGHUP')
  await server.line(/new certificate in use/)
  expect(await serialAt(proxy)).toBe(serialOf(two))

  configure('three')
  server.kill('SIGHUP')
  const refused = JSON.parse(await server.line(/new configuration not applied/))
  expect(refused.err.message).toContain('three.pem')
  expect(await serialAt(proxy)).toBe(serialOf(two))

  configure('two', ', tls: {cert: two.pem, key: two.key}')
  server.kill('SIGHUP')
  expect(await server.line(/switched on or off/)).toContain('"listener":"upstream"')
})

test('a certificate that ends soon is warned of at the start, and shown', async () => {
  const server = await secureServer() // the authority of tests issues for a day
  expect(server.process.stderr).toContain('the certificate expires soon')
  const ask = async (path: string): Promise<string> => {
    const { ports, authority } = server
    const asked = get({
      host: 'localhost',
      port: ports.admin,
      path,
      ca: authority.cert,
      agent: false,
    })
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    return (await buffer(answer)).toString()
  }
  const metrics = await ask('/metrics')
  const left = Number(
    /adit_tls_certificate_expiry_seconds\{listener="proxy",name="DNS:localhost",[^}]*\} (\d+)/.exec(
      metrics,
    )?.[1],
  )
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThanOrEqual(86_400)
  const status = JSON.parse(await ask('/status/tls'))
  expect(status.proxy.certificates[0].names).toEqual(['DNS:localhost', 'DNS:web.localhost'])
  expect(status.admin.handshakes.completed).toBeGreaterThan(0)
})

test('files that cannot be used end the start with 2, each with its place, before anything is bound', async () => {
  using folder = temporaryDirectory()
  const pair = certificateAuthority().issue({ name: 'x' })
  folder.write('x.pem', pair.cert)
  folder.write('y.key', certificateAuthority().issue({ name: 'y' }).key)
  const path = folder.write(
    'server.yaml',
    'proxy: {tls: {cert: x.pem, key: y.key}}\nadmin: {tls: {cert: none.pem, key: y.key}}\n',
  )
  const server = aditServer(['-c', path])
  expect(await server.exited).toMatchObject({ code: 2 })
  expect(server.stdout).toBe('')
  expect(server.stderr).toMatch(
    /^error: .*server\.yaml:1:\d+: proxy\.tls\.key: the key in .*y\.key is not that/m,
  )
  expect(server.stderr).toMatch(
    /^error: .*server\.yaml:2:\d+: admin\.tls\.cert: cannot read .*none\.pem/m,
  )
  const checked = aditServer(['config', 'check', '-c', path, '--json'])
  expect(await checked.exited).toMatchObject({ code: 2 })
  expect(JSON.parse(checked.stdout).problems.map(({ code }: { code: string }) => code)).toEqual([
    'TLS_KEY_MISMATCH',
    'TLS_FILE_UNREADABLE',
  ])
  expect(dirname(path)).toBe(folder.path)
})
