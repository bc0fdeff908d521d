// A misspelt option would change nothing, and nothing would tell.
import { describe, expect, it } from 'vitest'

import {
  Backoff,
  createAgent,
  createConnector,
  diagnose,
  dial,
  dialRawWebSocket,
  dialWebSocket,
  explainRoute,
  ProxyServer,
} from '../src/index.ts'

const target = { host: '127.0.0.1', port: 1 }
// Without a type, as in JavaScript and behind a spread.
const wrong = (options: object): object => options

const TAKERS: Readonly<Record<string, (options: object) => unknown>> = {
  dial: (options) => dial(target, options),
  dialWebSocket: (options) => dialWebSocket('ws://127.0.0.1:1', options),
  dialRawWebSocket: (options) => dialRawWebSocket('ws://127.0.0.1:1', options),
  createAgent: (options) => createAgent(options),
  createConnector: (options) => createConnector(options),
  explainRoute: (options) => explainRoute(target, options),
  diagnose: (options) => diagnose(target, options),
}

describe.each(Object.entries(TAKERS))('%s', (_name, take) => {
  it.each([
    [{ proxi: 'http://p' }, 'there is no option proxi; did you mean proxy?'],
    [{ noproxy: 'a' }, 'there is no option noproxy; did you mean noProxy?'],
    [{ localaddress: 'a' }, 'there is no option localaddress; did you mean localAddress?'],
    [{ completelyOther: 1 }, 'there is no option completelyOther'],
    [
      { timeouts: { conectMs: 1 } },
      'there is no option timeouts.conectMs; did you mean timeouts.connectMs?',
    ],
    [{ proxyTls: { CA: 'x' } }, 'there is no option proxyTls.CA; did you mean proxyTls.ca?'],
    [
      { proxy: { url: 'http://p', pasword: 'hunter2' } },
      'there is no option proxy.pasword; did you mean proxy.password?',
    ],
  ])('refuses %j', (options, message) => {
    expect(() => take(wrong(options))).toThrow(new TypeError(message))
  })
})

it('refuses misspelt names of TLS, WebSocket and Backoff options', () => {
  expect(() => createAgent(wrong({ tls: { rejectUnauthorised: false } }))).toThrow(
    'there is no option tls.rejectUnauthorised',
  )
  expect(() => createAgent(wrong({ tls: { serverName: 'x' } }))).toThrow(
    'did you mean tls.servername?',
  )
  expect(() => dialWebSocket('ws://127.0.0.1:1', wrong({ maxPayload: 1 }))).toThrow(
    'there is no option maxPayload',
  )
  expect(() => dialRawWebSocket('ws://127.0.0.1:1', wrong({ protocol: 'x' }))).toThrow(
    'did you mean protocols?',
  )
  expect(() => new Backoff(wrong({ minMS: 1 }))).toThrow('did you mean minMs?')
  expect(() => new ProxyServer({ url: 'http://p', user: 'x' } as { url: string })).toThrow(
    'there is no option proxy.user',
  )
})

it('treats undefined as absent', () => {
  expect(() => createAgent(wrong({ proxi: undefined }))).not.toThrow()
})
