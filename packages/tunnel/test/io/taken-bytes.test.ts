import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { expect, it } from 'vitest'

import { takenBytes } from '../../src/io/taken-bytes.ts'

/** More than a kernel takes at once. */
const BYTES = 64 * 1024 * 1024

it.each(['tcp', 'tls'])('what a slow reader takes of one write is counted: %s', async (wire) => {
  const authority = certificateAuthority()
  const server =
    wire === 'tcp' ? createServer() : createTlsServer(authority.issue({ name: 'server' }))
  await using address = await listening(server)
  const { port } = address
  const event = wire === 'tcp' ? 'connection' : 'secureConnection'
  const accepted = once(server, event) as Promise<[Socket]>
  const far =
    wire === 'tcp'
      ? connect({ host: '127.0.0.1', port })
      : connectTls({ host: 'localhost', port, ca: authority.cert })
  const [near] = await accepted
  far.pause()
  let isWritten = false
  near.write(Buffer.alloc(BYTES), () => (isWritten = true))
  await until(() => takenBytes(near) > 0)
  const first = takenBytes(near)
  expect(first).toBeLessThan(BYTES)
  far
    .on('data', () => {
      if (takenBytes(near) > first) far.pause()
    })
    .resume()
  await until(() => takenBytes(near) > first)
  expect(isWritten).toBe(false)
  far.removeAllListeners('data').resume()
  await until(() => isWritten)
  expect(takenBytes(near)).toBeGreaterThanOrEqual(BYTES)
  far.destroy()
})
