// Two exchanges that last long, at the same time: nothing on the way may have a limit on the whole of an
// exchange, nor hold small pieces back.
import { EventEmitter, once } from 'node:events'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { connectRaw } from '@proj/testkit/raw-http'

import { startAgent, startServer } from './programs.ts'
import { download, httpService } from './services.ts'

/** More than the half minute of most limits; nothing that lasts longer depends on the version of Node. */
const EVENTS = process.env['ADIT_FULL_TESTS'] === '1' ? 9 : 4
const PAUSE_MS = 5_000
const WHOLE_MS = (EVENTS - 1) * PAUSE_MS

/** The upload is slower than `proxy.min_rate` on purpose: on a busy machine it may take longer than the minute of default. */
const LONG_GRACE = ['--proxy.min-rate-grace', '10m']

/** Pieces that have arrived: none is sent before the one before it, so one that is held back never arrives. */
class Arrivals {
  readonly #emitter = new EventEmitter()
  #count = 0

  /** The next one is there. */
  next(): void {
    this.#count += 1
    this.#emitter.emit('arrived')
  }

  /** Waits until so many are there, and then for the pause. */
  async pauseBehind(count: number): Promise<void> {
    while (this.#count < count) await once(this.#emitter, 'arrived')
    await delay(PAUSE_MS)
  }
}

test('server-sent events and a trickled upload pass slowly, piece by piece, beyond the limits of a part of them', async () => {
  const pieces: string[] = []
  const [heard, uploaded] = [new Arrivals(), new Arrivals()]
  const service = await httpService((incoming, response) => {
    if (incoming.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      void (async () => {
        for (let index = 0; index < EVENTS; index++) {
          if (index > 0) await heard.pauseBehind(index)
          response.write(`data: ${index}\n\n`)
        }
        response.end()
      })()
      return
    }
    incoming.setEncoding('utf8')
    incoming.on('data', (text: string) => {
      pieces.push(text)
      uploaded.next()
    })
    incoming.on('end', () => response.end('got it all'))
  })
  const server = await startServer(undefined, LONG_GRACE)
  await startAgent('http', 'web', service.port, server)

  const events = async (): Promise<void> => {
    const response = await download(server.ports.proxy, '/events')
    expect(response.headers['content-type']).toBe('text/event-stream')
    let index = 0
    for await (const line of createInterface({ input: response })) {
      if (line === '') continue
      expect(line).toBe(`data: ${index++}`)
      heard.next()
    }
    expect(index).toBe(EVENTS)
    expect(response.complete).toBe(true)
  }
  const upload = async (): Promise<void> => {
    const sent = request({
      host: '127.0.0.1',
      port: server.ports.proxy,
      method: 'POST',
      path: '/upload',
      headers: { host: 'web.localhost' },
      agent: false,
    })
    const answered = once(sent, 'response')
    for (let index = 0; index < EVENTS; index++) {
      if (index > 0) await uploaded.pauseBehind(index)
      sent.write(`${index}\n`)
    }
    sent.end()
    const [response] = await answered
    response.setEncoding('utf8')
    expect((await response.toArray()).join('')).toBe('got it all')
    expect(pieces).toEqual(Array.from({ length: EVENTS }, (_, index) => `${index}\n`))
  }
  // A connection that is kept alive without a request meanwhile outlives the exchanges too.
  using idle = await connectRaw(server.ports.proxy)
  const asked = 'POST /upload HTTP/1.1\r\nhost: web.localhost\r\ncontent-length: 0\r\n\r\n'
  await idle.send(asked)
  expect((await idle.readResponse()).status).toBe(200)

  const startedAt = performance.now()
  await Promise.all([events(), upload()])
  expect(performance.now() - startedAt).toBeGreaterThan(WHOLE_MS - 1_000)

  await idle.send(asked)
  expect((await idle.readResponse()).status).toBe(200)
})
