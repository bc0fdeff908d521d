// Options that go to OpenSSL as they are: versions, suites, flags, and a certificate with its key.
import { execFileSync } from 'node:child_process'
import { constants } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type TLSSocket, type TlsOptions as ServerOptions } from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { findProgram } from '@proj/testkit/real-proxy'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, it, onTestFinished } from 'vitest'

import { dial, type TlsOptions } from '../../src/index.ts'
import { failure } from '../failure.ts'

const authority = certificateAuthority('Our Root')

async function serve(options: ServerOptions = {}): Promise<number> {
  const server = createServer({ ...authority.issue({ name: 'server' }), ...options }, (socket) => {
    socket.on('error', () => {})
    socket.end(String((socket.getPeerCertificate() as { subject?: { CN: string } }).subject?.CN))
  })
  server.on('tlsClientError', () => {})
  const peer = await listening(server)
  onTestFinished(() => peer.close())
  return peer.port
}

async function protocolWith(tls: TlsOptions, port: number): Promise<string> {
  const options = { tls: { ca: authority.cert, ...tls } }
  const socket = (await dial({ host: '127.0.0.1', port }, options)) as TLSSocket
  const shown = `${socket.getProtocol() ?? ''} ${socket.getCipher().standardName}`
  socket.destroy()
  return shown
}

describe('versions, suites and flags', () => {
  it('offers nothing newer than maxVersion', async () => {
    const port = await serve()
    expect(await protocolWith({}, port)).toMatch(/^TLSv1\.3 /)
    expect(await protocolWith({ maxVersion: 'TLSv1.2' }, port)).toMatch(/^TLSv1\.2 /)
  })

  it('accepts an old peer when maxVersion is old', async () => {
    const ciphers = 'DEFAULT:@SECLEVEL=0'
    const port = await serve({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers })
    const error = await failure(dial({ host: '127.0.0.1', port }, { tls: { ca: authority.cert } }))
    expect(error.code).toBe('DIAL_TLS_PROTOCOL')
    expect(await protocolWith({ maxVersion: 'TLSv1.1', ciphers }, port)).toMatch(/^TLSv1\.1 /)
  })

  it('offers only the suites in ciphers', async () => {
    const port = await serve({ maxVersion: 'TLSv1.2' })
    const suite = 'ECDHE-ECDSA-AES128-SHA256'
    expect(await protocolWith({ ciphers: suite }, port)).toContain('WITH_AES_128_CBC_SHA256')
  })

  it('sets the flags in secureOptions', async () => {
    const port = await serve()
    const secureOptions = constants.SSL_OP_NO_TLSv1_3
    expect(await protocolWith({ secureOptions }, port)).toMatch(/^TLSv1\.2 /)
  })

  it.each([
    [{ maxVersion: 'TLSv1.1', minVersion: 'TLSv1.2' }, 'tls.maxVersion TLSv1.1 is older'],
    [{ maxVersion: 'TLSv2' }, 'tls.maxVersion must be one of TLSv1, '],
    [{ minVersion: 'SSLv3' }, 'tls.minVersion must be one of TLSv1, '],
    [{ ciphers: 'NO-SUCH-SUITE' }, 'tls.ciphers is not valid'],
    [{ pfx: Buffer.from('junk') }, 'tls.pfx or tls.passphrase is not valid'],
    [{ pfx: 'junk' }, 'tls.pfx must be a Buffer'],
    [{ pfx: Buffer.from('x'), ...authority.issue({ name: 'x' }) }, 'set tls.pfx, or tls.cert'],
  ])('refuses %j', (tls, message) => {
    expect(() => dial({ host: '127.0.0.1', port: 1 }, { tls: tls as TlsOptions })).toThrow(message)
  })
})

const openssl = findProgram('openssl', 'openssl')

describe.skipIf(openssl === undefined)('pfx', () => {
  const passphrase = 'open sesame'

  /** Makes a PKCS #12 file of a client certificate, with the authority that issued it. */
  function pkcs12(): Buffer {
    const { cert, key } = authority.issue({ name: 'client', usage: 'client' })
    const folder = temporaryDirectory()
    const files = {
      cert: folder.write('cert.pem', cert),
      key: folder.write('key.pem', key),
      ca: folder.write('ca.pem', authority.cert),
    }
    return execFileSync(
      openssl ?? '',
      ['pkcs12', '-export', '-in', files.cert, '-inkey', files.key, '-certfile', files.ca].concat(
        '-passout',
        `pass:${passphrase}`,
      ),
    )
  }

  it('is the client certificate with its key', async () => {
    const port = await serve({ requestCert: true, ca: authority.cert })
    for (const systemCa of [true, false]) {
      const tls = { ca: authority.cert, pfx: pkcs12(), passphrase, systemCa }
      const socket = await dial({ host: '127.0.0.1', port }, { tls })
      const [name] = await once(socket, 'data')
      expect(String(name)).toBe('client')
      socket.destroy()
    }
  })

  it('refuses a wrong passphrase, without it in the error', () => {
    const tls = { pfx: pkcs12(), passphrase: 'hunter2' }
    const take = () => dial({ host: '127.0.0.1', port: 1 }, { tls })
    expect(take).toThrow('tls.pfx or tls.passphrase is not valid')
    expect(take).not.toThrow('hunter2')
  })
})
