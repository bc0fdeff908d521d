// Two exchanges that last a minute, at the same time: nothing on the way may have a limit on the
// whole of an exchange, nor hold small pieces back.
import { once } from 'node:events'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { connectRaw } from '@proj/testkit/raw-http'

import { startAgent, startServer } from './programs.ts'
import { download, httpService } from './services.ts'

const EVENTS = 13
const PAUSE_MS = 5_000
const WHOLE_MS = (EVENTS - 1) * PAUSE_MS // one minute
/** How long an event may be on its way: far above any load, far below the pause. */
const HELD_BACK_MS = PAUSE_MS / 2

test('server-sent events and a trickled upload pass for a minute, piece by piece', async () => {
  const pieces: { text: string; at: number }[] = []
  const service = await httpService((incoming, response) => {
    if (incoming.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      void (async () => {
        for (let index = 0; index < EVENTS; index++) {
          if (index > 0) await delay(PAUSE_MS)
          response.write(`data: ${index} ${Date.now()}\n\n`)
        }
        response.end()
      })()
      return
    }
    incoming.setEncoding('utf8')
    incoming.on('data', (text: string) => pieces.push({ text, at: Date.now() }))
    incoming.on('end', () => response.end('got it all'))
  })
  const server = await startServer()
  await startAgent('http', 'web', service.port, server)

  const events = async (): Promise<void> => {
    const response = await download(server.ports.proxy, '/events')
    expect(response.headers['content-type']).toBe('text/event-stream')
    let index = 0
    for await (const line of createInterface({ input: response })) {
      if (line === '') continue
      const [, number, sentAt] = line.split(' ')
      expect(Number(number)).toBe(index++)
      expect(Date.now() - Number(sentAt)).toBeLessThan(HELD_BACK_MS)
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
      if (index > 0) await delay(PAUSE_MS)
      sent.write(`${index} ${Date.now()}\n`)
    }
    sent.end()
    const [response] = await answered
    response.setEncoding('utf8')
    expect((await response.toArray()).join('')).toBe('got it all')
    expect(pieces).toHaveLength(EVENTS)
    for (const [index, { text, at }] of pieces.entries()) {
      const [number, sentAt] = text.trimEnd().split(' ')
      expect(Number(number)).toBe(index)
      expect(at - Number(sentAt)).toBeLessThan(HELD_BACK_MS)
    }
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
