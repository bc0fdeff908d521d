// A peer that reads late: what waits for it lies in lent memory, which must not be used again before.
import { once } from 'node:events'
import { type IncomingMessage, request as httpRequest } from 'node:http'

import { until } from '@proj/testkit/until'
import { expect, it } from 'vitest'

import { deferred, type Fixture, tunnel } from '../tunnel-fixture.ts'

/** More than the socket buffers of both hops take. */
const BYTES = 32 * 1024 * 1024

/** Numbers from 0, four bytes each: no two places look alike. */
function numbered(): Buffer {
  const buffer = Buffer.allocUnsafe(BYTES)
  for (let at = 0; at < BYTES; at += 4) buffer.writeUInt32BE(at, at)
  return buffer
}

/** Waits until a count that has begun to grow stands still. */
async function stalled(count: () => number): Promise<void> {
  let before = 0
  await until(() => {
    const now = count()
    const isStill = now > 0 && now === before
    before = now
    return isStill
  })
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function ask(path: Fixture, method: string): ReturnType<typeof httpRequest> {
  return httpRequest({ port: path.port, method, headers: { host: 'web.localhost' }, agent: false })
}

it('a visitor that reads late gets every byte of a response', async () => {
  const sent = numbered()
  await using path = await tunnel({ http: (_, res) => res.end(sent) })
  const asked = ask(path, 'GET').end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  await stalled(() => path.server.edge.stats.bytesOut)
  expect((await readAll(response)).equals(sent)).toBe(true)
})

it('a service that reads late gets every byte of a request', async () => {
  const sent = numbered()
  const read = deferred()
  const received = deferred<Buffer>()
  await using path = await tunnel({
    http: (req, res) => {
      void read.promise.then(async () => {
        received.resolve(await readAll(req))
        res.end()
      })
    },
  })
  const asked = ask(path, 'POST')
  asked.end(sent)
  await stalled(() => path.server.edge.stats.bytesIn)
  read.resolve()
  expect((await received.promise).equals(sent)).toBe(true)
  await once(asked, 'response')
})
