// Where a trusted authority can come from. To add one of them must never drop another. Node reads the
// environment at its start, so each case is a process.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import * as tls from 'node:tls'
import { promisify } from 'node:util'

import { certificateAuthority, type CertificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import { resolveTls } from '../../src/tls/options.ts'
import { builtPackage, type BuiltPackage } from '../built-package.ts'

const SOURCES = ['NODE_EXTRA_CA_CERTS', 'system', 'default', 'tls.ca'] as const
type Source = (typeof SOURCES)[number]

const authorities = Object.fromEntries(
  SOURCES.map((source) => [source, certificateAuthority(`Root from ${source}`)]),
) as Record<Source, CertificateAuthority>

const lists = 'getCACertificates' in tls
const replacesDefault = 'setDefaultCACertificates' in tls

let built: BuiltPackage
beforeAll(() => {
  built = builtPackage()
}, 120_000)
afterAll(() => built.remove())

/** Dials a server of each authority, in a process that trusts those in `trusted`. */
async function dialEach(trusted: readonly Source[]): Promise<unknown> {
  const ports: number[] = []
  for (const source of SOURCES) {
    const server = tls.createServer(authorities[source].issue({ name: 'server' }))
    server.on('tlsClientError', () => {})
    const peer = await listening(server)
    onTestFinished(() => peer.close())
    ports.push(peer.port)
  }
  const folder = temporaryDirectory()
  const use = (source: Source): string | undefined =>
    trusted.includes(source) ? authorities[source].cert : undefined
  const [extra, system, builtIn] = [use('NODE_EXTRA_CA_CERTS'), use('system'), use('default')]
  const openssl = builtIn !== undefined && !replacesDefault
  const inFile = openssl ? builtIn : system
  const env: Record<string, string> = {
    // An empty file, so that the authorities of this machine do not matter.
    SSL_CERT_FILE: folder.write('system.pem', inFile ?? ''),
    SSL_CERT_DIR: folder.path,
  }
  if (extra !== undefined) env['NODE_EXTRA_CA_CERTS'] = folder.write('extra.pem', extra)
  const input = {
    ports,
    tls: {
      systemCa: system !== undefined,
      ...(trusted.includes('tls.ca') && { ca: authorities['tls.ca'].cert }),
    },
    ...(builtIn !== undefined && replacesDefault && { defaultCa: builtIn }),
  }
  const fixture = join(import.meta.dirname, '..', 'fixtures', 'dial-tls.mjs')
  const flags = ['--no-warnings', ...(openssl ? ['--use-openssl-ca'] : [])]
  const args = [...flags, fixture, built.entry, JSON.stringify(input)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  return JSON.parse(stdout)
}

const PAIRS = SOURCES.flatMap((a, index) => SOURCES.slice(index).map((b) => [a, b] as const))

describe('trusted authorities', () => {
  it.for(PAIRS)(
    'from %s and %s are all trusted, and no others',
    { timeout: 60_000 },
    async (pair: readonly Source[], { skip }) => {
      const unclear = pair.includes('default') && !replacesDefault
      skip(unclear && lists, 'Node before 24.5 cannot replace its built-in authorities')
      skip(unclear && pair.includes('system'), 'Node 20 takes both from SSL_CERT_FILE')
      expect(await dialEach(pair)).toEqual(
        SOURCES.map((source) => (pair.includes(source) ? 'trusted' : 'DIAL_TLS_UNTRUSTED')),
      )
    },
  )

  it('is a Buffer as well as a text', () => {
    const { cert } = authorities['tls.ca']
    const bytes = Buffer.from(cert)
    const [first = ''] = resolveTls({ ca: cert }).ca
    expect(first).toContain('BEGIN CERTIFICATE')
    expect(resolveTls({ ca: bytes }).ca).toEqual([first])
    expect(resolveTls({ ca: [new Uint8Array(bytes), cert] }).ca).toEqual([first, first])
    expect(() => resolveTls({ ca: 5 as unknown as string })).toThrow('tls.ca must be PEM')
    expect(() => resolveTls({ key: {} as unknown as string, cert })).toThrow('tls.key must be PEM')
  })
})
