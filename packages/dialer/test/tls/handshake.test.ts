import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createPlainServer, connect, type Socket } from 'node:net'
import { createServer, type TLSSocket, type TlsOptions as ServerOptions } from 'node:tls'
import { inspect } from 'node:util'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { scriptedPeer } from '@proj/testkit/scripted-peer'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'

import { dial, dialRawWebSocket, dialWebSocket, type TlsOptions } from '../../src/index.ts'
import { failure } from '../failure.ts'

const authority = certificateAuthority('Our Root')
const stranger = certificateAuthority('Stranger Root')
const certificate = authority.issue({ name: 'server' })
const DAY_MS = 86_400_000

async function serve(
  options: ServerOptions = {},
  onSocket: (socket: TLSSocket) => void = () => {},
) {
  const server = createServer({ ...certificate, ...options }, (socket) => {
    socket.on('error', () => {})
    onSocket(socket)
  })
  const peer = await listening(server)
  onTestFinished(() => peer.close())
  return peer
}

function pinOf(pem: string): string {
  const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(key).digest('base64')
}

const secured = (port: number, tls: TlsOptions, host = '127.0.0.1') => dial({ host, port }, { tls })

/** A proxy that supports CONNECT, over TLS when it has a certificate. */
async function tunnelProxy(tls?: ServerOptions) {
  const onSocket = (socket: Socket): void => {
    socket.on('error', () => {})
    socket.once('data', (request: Buffer) => {
      const [, port = '0'] = /^CONNECT [^ ]*:(\d+) /.exec(request.toString('latin1')) ?? []
      const onward = connect(Number(port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.pipe(onward).pipe(socket)
      })
      onward.on('error', () => socket.destroy())
    })
  }
  const proxy = await listening(tls ? createServer(tls, onSocket) : createPlainServer(onSocket))
  onTestFinished(() => proxy.close())
  return proxy
}

describe('TLS', () => {
  it('adds authorities to the built-in ones and transfers data', async () => {
    const { port } = await serve({}, (socket) => socket.end('hello'))
    const socket = await secured(port, { ca: [stranger.cert + authority.cert] })
    const [chunk] = await once(socket, 'data')
    expect(String(chunk)).toBe('hello')
    socket.destroy()
  })

  it('reports the issuer of a certificate that is not trusted', async () => {
    const { port, sockets } = await serve()
    const error = await failure(secured(port, { ca: stranger.cert }))
    expect([error.code, error.leg, error.retry]).toEqual(['DIAL_TLS_UNTRUSTED', 'server', 'slow'])
    expect(error.message).toContain('CN=Our Root')
    for (const socket of sockets) await once(socket, 'close')
  })

  it('checks the name of the host, or the one in servername', async () => {
    const { port } = await serve(authority.issue({ name: 'named', hosts: ['named.test'] }))
    const ca = authority.cert
    const error = await failure(secured(port, { ca }))
    expect(error.code).toBe('DIAL_TLS_NAME')
    expect(error.message).toContain('DNS:named.test')
    const socket = await secured(port, { ca, servername: 'named.test' })
    socket.destroy()
  })

  it('sends names to the server, and no addresses (RFC 6066 section 3)', async () => {
    const names: unknown[] = []
    const { port } = await serve({}, (socket) => {
      names.push(socket.servername)
      socket.end('x')
    })
    for (const servername of [undefined, 'localhost']) {
      const socket = await secured(port, { ca: authority.cert, servername })
      await once(socket, 'data')
      socket.destroy()
    }
    expect(names).toEqual([false, 'localhost'])
  })

  it('checks addresses against the addresses of the certificate', async () => {
    const only4 = await serve(authority.issue({ name: 'four', hosts: ['127.0.0.1'] }))
    const socket = await secured(only4.port, { ca: authority.cert })
    socket.destroy()
    const error = await failure(
      dial(
        { host: 'localhost', port: only4.port },
        {
          tls: { ca: authority.cert },
          lookup: async () => [{ address: '127.0.0.1', family: 4 }],
        },
      ),
    )
    expect(error.code).toBe('DIAL_TLS_NAME')
  })

  it('reports a certificate that has expired or is not valid yet', async () => {
    const past = authority.issue({
      name: 'past',
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter: new Date(Date.now() - DAY_MS),
    })
    const future = authority.issue({ name: 'future', notBefore: new Date(Date.now() + DAY_MS / 2) })
    for (const keys of [past, future]) {
      const { port } = await serve(keys)
      expect((await failure(secured(port, { ca: authority.cert }))).code).toBe('DIAL_TLS_EXPIRED')
    }
  })

  it('checks a pinned key in addition to the chain, and only the key with pin-only', async () => {
    const { port } = await serve()
    const pin = `sha256/${pinOf(certificate.cert)}`
    const other = pinOf(stranger.cert)
    const ca = authority.cert
    for (const tls of [
      { ca, pin },
      { ca, pin: [other, pin] },
      { pin, verify: 'pin-only' as const },
    ]) {
      const socket = await secured(port, tls)
      socket.destroy()
    }
    const wrong = await failure(secured(port, { ca, pin: other }))
    expect([wrong.code, wrong.retry]).toEqual(['DIAL_TLS_PIN', 'slow'])
    expect(wrong.message).toContain(pin)
    expect((await failure(secured(port, { pin: other, verify: 'pin-only' }))).code).toBe(
      'DIAL_TLS_PIN',
    )
    expect((await failure(secured(port, { pin }))).code).toBe('DIAL_TLS_UNTRUSTED')
  })

  it('checks nothing with verify none', async () => {
    const { port } = await serve()
    const socket = await secured(port, { verify: 'none' })
    expect(socket.remotePort).toBe(port)
    socket.destroy()
  })

  it('sends a client certificate, and reports when the server requires one', async () => {
    const seen: string[] = []
    const { port } = await serve({ requestCert: true, ca: authority.cert }, (socket) => {
      seen.push(socket.getPeerX509Certificate()?.subject ?? 'none')
      socket.end('hello')
    })
    const client = authority.issue({ name: 'client', usage: 'client' })
    const socket = await secured(port, { ca: authority.cert, ...client })
    await once(socket, 'data')
    socket.destroy()
    expect(seen).toEqual(['CN=client'])
    // With TLS 1.2 the rejection arrives during the handshake, with 1.3 only after it.
    const old = await serve({ requestCert: true, ca: authority.cert, maxVersion: 'TLSv1.2' })
    const error = await failure(secured(old.port, { ca: authority.cert }))
    expect(error.code).toMatch(/^DIAL_TLS_(CLIENT_CERT|FAILED)$/)
    const upgrade = await failure(
      dialRawWebSocket(`wss://127.0.0.1:${port}`, { tls: { ca: authority.cert } }),
    )
    expect(upgrade.code).toBe('DIAL_TLS_CLIENT_CERT')
  })

  it('rejects TLS versions below the minimum', async () => {
    const { port } = await serve({ maxVersion: 'TLSv1.2' })
    const ca = authority.cert
    const socket = await secured(port, { ca })
    socket.destroy()
    const error = await failure(secured(port, { ca, minVersion: 'TLSv1.3' }))
    expect(error.code).toBe('DIAL_TLS_PROTOCOL')
    expect(error.message).toContain('version')
  })

  it('reports that there is no common protocol', async () => {
    const { port } = await serve({ ALPNProtocols: ['h2'] })
    const error = await failure(secured(port, { ca: authority.cert, alpn: ['http/1.1'] }))
    expect(error.code).toBe('DIAL_TLS_PROTOCOL')
    expect(error.message).toContain('ALPN')
  })

  it('recognises a port without TLS and a port with TLS', async () => {
    const plain = createHttpServer()
    const web = await listening(plain)
    onTestFinished(() => web.close())
    const tlsToPlain = await failure(secured(web.port, {}))
    expect(tlsToPlain.code).toBe('DIAL_TLS_PROTOCOL')
    expect(tlsToPlain.hint).toContain('ws://')
    const { port } = await serve()
    const plainToTls = await failure(dialRawWebSocket(`ws://127.0.0.1:${port}`))
    expect(plainToTls.hint).toContain('wss://')
  })

  it('reports a handshake that gets no response, and one whose connection is reset', async () => {
    const silent = await scriptedPeer(() => {})
    const error = await failure(
      dial({ host: '127.0.0.1', port: silent.port }, { tls: true, timeouts: { tlsMs: 20 } }),
    )
    expect(error.code).toBe('DIAL_TLS_TIMEOUT')
    const cut = await scriptedPeer(async ({ socket, read }) => {
      await read(1)
      socket.resetAndDestroy()
    })
    expect((await failure(secured(cut.port, {}))).code).toBe('DIAL_TLS_FAILED')
  })

  it('recognises TLS inspection by the name of the issuer, and by an unknown issuer behind a proxy', async () => {
    const mitm = certificateAuthority('mitmproxy')
    const { port } = await serve(mitm.issue({ name: 'server' }))
    const known = await failure(secured(port, {}))
    expect(known.code).toBe('DIAL_TLS_INTERCEPTED')
    expect(known.message).toContain('CN=mitmproxy')
    const proxy = await tunnelProxy()
    const stranger = await serve()
    const behind = await failure(
      dial(
        { host: '127.0.0.1', port: stranger.port },
        { tls: true, proxy: `http://${proxy.authority}` },
      ),
    )
    expect(behind.code).toBe('DIAL_TLS_INTERCEPTED')
    expect(behind.message).toContain('CN=Our Root')
  })

  it('uses TLS within TLS through an https proxy, each with its own authority', async () => {
    const corp = certificateAuthority('Corp Root')
    const proxy = await tunnelProxy(corp.issue({ name: 'proxy' }))
    const { port } = await serve({}, (socket) => socket.end('hello'))
    const target = { host: '127.0.0.1', port }
    const url = `https://${proxy.authority}`
    const socket = await dial(target, {
      proxy: url,
      proxyTls: { ca: corp.cert },
      tls: { ca: authority.cert },
    })
    const [chunk] = await once(socket, 'data')
    expect(String(chunk)).toBe('hello')
    socket.destroy()
    const atProxy = await failure(dial(target, { proxy: url, tls: { ca: authority.cert } }))
    expect([atProxy.code, atProxy.leg]).toEqual(['DIAL_TLS_UNTRUSTED', 'proxy'])
    const atServer = await failure(
      dial(target, { proxy: url, proxyTls: { ca: corp.cert }, tls: true }),
    )
    expect([atServer.code, atServer.leg]).toEqual(['DIAL_TLS_INTERCEPTED', 'server'])
    const plain = await scriptedPeer(
      ({ socket }) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    )
    const wrong = await failure(dial(target, { proxy: `https://${plain.authority}` }))
    expect([wrong.code, wrong.leg]).toEqual(['DIAL_TLS_PROTOCOL', 'proxy'])
    expect(wrong.hint).toContain('http://')
    const reversed = await failure(dial(target, { proxy: `http://${proxy.authority}` }))
    expect(reversed.hint).toContain('https://')
  })

  it('dials a wss URL and offers http/1.1', async () => {
    const server = createServer({ ...certificate, ALPNProtocols: ['h2', 'http/1.1'] })
    const web = createHttpServer()
    const protocols: unknown[] = []
    server.on('secureConnection', (socket) => {
      protocols.push(socket.alpnProtocol)
      web.emit('connection', socket)
    })
    const wss = new WebSocketServer({ server: web })
    wss.on('connection', (websocket) => websocket.send('hello'))
    const peer = await listening(server)
    onTestFinished(() => peer.close())
    const websocket = await dialWebSocket(`wss://127.0.0.1:${peer.port}/`, {
      tls: { ca: authority.cert },
    })
    const [message] = await once(websocket, 'message')
    expect(String(message)).toBe('hello')
    websocket.terminate()
    expect(protocols).toEqual(['http/1.1'])
  })

  it('rejects keys that do not match at once, without the key in the error', () => {
    const { cert } = authority.issue({ name: 'a', usage: 'client' })
    const { key } = authority.issue({ name: 'b', usage: 'client' })
    const target = { host: 'a.test', port: 1 }
    expect(() => dial(target, { tls: { cert, key } })).toThrow(TypeError)
    let shown = ''
    try {
      void dial(target, { tls: { cert, key: 'hunter2' } })
    } catch (error) {
      shown = inspect(error, { depth: 9, showHidden: true })
    }
    expect(shown).toContain('tls.key')
    expect(shown).not.toContain('hunter2')
  })
})
