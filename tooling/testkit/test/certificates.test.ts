import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { certificateAuthority } from '../src/certificates.ts'
import { listening } from '../src/listening.ts'

test('a server certificate is for localhost on both families and is signed by the authority', () => {
  const authority = certificateAuthority()
  const server = new X509Certificate(authority.issue({ name: 'server' }).cert)
  expect(server.verify(new X509Certificate(authority.cert).publicKey)).toBe(true)
  expect(server.subject).toBe('CN=server')
  expect(server.checkHost('localhost')).toBe('localhost')
  expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(server.checkIP('::1')).toBe('::1')
  expect(server.checkHost('other.example')).toBeUndefined()
  expect(new X509Certificate(authority.cert).ca).toBe(true)
  expect(server.ca).toBe(false)
})

test('every form of IPv6 address is written in full', () => {
  const authority = certificateAuthority()
  const hosts = ['2001:db8::5', 'fe80::1:2', '::', '1:2:3:4:5:6:7:8']
  const certificate = new X509Certificate(authority.issue({ name: 'v6', hosts }).cert)
  for (const host of hosts) expect(certificate.checkIP(host)).toBe(host)
})

test('dates are as asked for', () => {
  const [notBefore, notAfter] = [new Date('2020-01-02T03:04:05Z'), new Date('2020-06-07T08:09:10Z')]
  const { cert } = certificateAuthority().issue({ name: 'expired', notBefore, notAfter })
  expect(new Date(new X509Certificate(cert).validFrom)).toEqual(notBefore)
  expect(new Date(new X509Certificate(cert).validTo)).toEqual(notAfter)
})

test('both sides of mutual TLS accept each other, the server through an intermediate', async () => {
  const root = certificateAuthority('root')
  const server = createServer({
    ...root.intermediate('intermediate').issue({ name: 'server' }),
    ca: root.cert,
    requestCert: true,
    rejectUnauthorized: true,
  })
  server.on('secureConnection', (socket) =>
    socket.end(String(socket.getPeerCertificate().subject.CN)),
  )
  await using at = await listening(server)
  const { port } = at
  const client = connect({
    host: '127.0.0.1',
    port,
    ca: root.cert,
    ...root.issue({ name: 'client 7', usage: 'client' }),
  })
  const [said] = await once(client, 'data')
  expect(String(said)).toBe('client 7')
  expect(client.authorized).toBe(true)
  client.destroy()
})

test('a stranger to the authority is refused', async () => {
  const server = createServer(certificateAuthority().issue({ name: 'server' }))
  server.on('tlsClientError', () => {})
  await using at = await listening(server)
  const client: TLSSocket = connect({
    host: '127.0.0.1',
    port: at.port,
    ca: certificateAuthority('x').cert,
  })
  await expect(once(client, 'secureConnect')).rejects.toThrow(/certificate/)
})
