import { gzipSync } from 'node:zlib'

import { expect, test } from 'vitest'

import { ExchangeStore } from '../../src/inspect/exchange-store.ts'
import type { Exchange } from '../../src/inspect/exchange.ts'
import { readHar, writeHar } from '../../src/inspect/har.ts'
import { Secrets } from '../../src/inspect/secrets.ts'

const SECRETS = new Secrets()

function store(): ExchangeStore {
  return new ExchangeStore({ keep: 100, bodyBytes: 10_000, maxBytes: 1_048_576 })
}

async function har(kept: ExchangeStore, withSecrets = false): Promise<string> {
  let text = ''
  for await (const part of writeHar(kept.all(), 'adit/1.2.3', SECRETS, withSecrets)) text += part
  return text
}

function sample(kept: ExchangeStore, requestBody: Buffer): Exchange {
  const exchange = kept.begin('http', 'web')
  const charge = (bytes: number): boolean => kept.charge(exchange, bytes)
  exchange.request = {
    method: 'POST',
    target: '/a?token=abc&q=1',
    headers: ['Host', 'web.example', 'Cookie', 'sid=topsecret', 'Content-Type', 'text/plain'],
  }
  exchange.response = {
    status: 200,
    reason: 'OK',
    headers: ['Content-Type', 'text/plain', 'Content-Encoding', 'gzip'],
  }
  exchange.requestBody.add(requestBody, charge)
  exchange.responseBody.add(gzipSync('the answer'), charge)
  const { started } = exchange.times
  Object.assign(exchange.times, {
    requestEnd: started + 1,
    responseStart: started + 3,
    ended: started + 7,
  })
  exchange.state = 'done'
  return exchange
}

test.each([Buffer.from('plain ü'), Buffer.from([0, 255, 1])])(
  'an archive comes back as it went, decoded and without secrets',
  async (body) => {
    const kept = store()
    sample(kept, body)
    const text = await har(kept)
    expect(text).not.toMatch(/topsecret|abc/)
    expect(await har(kept, true)).toContain('topsecret')
    const { entries } = (JSON.parse(text) as { log: { entries: Record<string, unknown>[] } }).log
    expect(entries[0]).toMatchObject({
      time: 7,
      timings: { send: 1, wait: 2, receive: 4, blocked: -1 },
      request: { url: 'http://web.example/a?token=hidden&q=1' },
      response: { content: { text: 'the answer' } },
    })
    const back = store()
    expect(readHar(text, back)).toEqual({ taken: 1, refused: 0 })
    const [read] = back.all()
    expect(read).toMatchObject({ imported: true, state: 'done', endpoint: 'web' })
    expect(read?.request).toMatchObject({ method: 'POST', target: '/a?token=hidden&q=1' })
    expect(read?.requestBody.content).toEqual(body)
    expect(read?.responseBody.content.toString()).toBe('the answer')
    expect(read?.response?.headers).not.toContain('Content-Encoding')
  },
)

test('entries that are none are left out, and a file that is no archive is rejected', () => {
  const entry = (request: unknown): unknown => ({ request, response: null })
  const entries = [
    null,
    5,
    entry({ method: 'G T', url: 'http://a/' }),
    entry({ method: 'GET', url: 'javascript:alert(1)' }),
    entry({ method: 'GET', url: 'http://a/', headers: [{ name: 'a\r\nb', value: 'x' }, 7] }),
    JSON.parse('{"__proto__":{"request":{"method":"GET","url":"http://a/"}}}'),
  ]
  const kept = store()
  const text = JSON.stringify({ log: { entries } })
  expect(readHar(text, kept)).toEqual({ taken: 1, refused: 5 })
  expect(kept.all()[0]?.request?.headers).toEqual(['host', 'a'])
  for (const wrong of ['', '{', '[]', '{"log":{}}', '{"__proto__":{"log":{"entries":[]}}}']) {
    expect(() => readHar(wrong, kept)).toThrow(expect.objectContaining({ code: 'har_invalid' }))
  }
})
