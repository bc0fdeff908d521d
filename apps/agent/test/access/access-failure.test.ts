import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { DialError } from '@proj/dialer'
import { MuxError } from '@proj/mux'
import { TunnelError } from '@proj/tunnel'
import { RESET_REASONS } from '@proj/tunnel/io'

import { ACCESS_FAILURES, failureOfStream, failureToOpen } from '../../src/access/access-failure.ts'

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

test('the README lists every failure as the code has it', () => {
  const section = README.split('\n## When a connection fails\n')[1]?.split('\n## ')[0] ?? ''
  const rows = [...section.matchAll(/^\| `(\w+)` +\| (.*?) +\|$/gm)].map(([, code, text]) => [
    code,
    text,
  ])
  expect(rows).toEqual(Object.entries(ACCESS_FAILURES))
})

describe('a stream that did not end well', () => {
  const reset = (reason: number) => new MuxError('MUX_STREAM_RESET', 'reset', { reason })

  test('tells the reason of its reset', () => {
    expect(failureOfStream(reset(RESET_REASONS.serviceRefused))).toEqual({
      code: 'service_refused',
      text: 'the service refused the connection',
    })
    for (const reason of Object.values(RESET_REASONS)) {
      if (reason === RESET_REASONS.consumerGone) continue
      expect(Object.keys(ACCESS_FAILURES)).toContain(failureOfStream(reset(reason))?.code)
    }
  })

  test('tells the end of the session that carried it', () => {
    expect(failureOfStream(new MuxError('MUX_TRANSPORT_CLOSED', 'closed'))).toMatchObject({
      code: 'server_lost',
    })
  })

  test('is no failure when this side reset it', () => {
    const error = new MuxError('MUX_STREAM_ABORTED', 'reset here')
    expect(failureOfStream(error)).toBeUndefined()
  })

  test('tells what else there may be', () => {
    expect(failureOfStream(new MuxError('MUX_ACK_TIMEOUT', 'late'))).toEqual({
      code: 'failed',
      text: 'something else, the text says what: late',
    })
    expect(failureOfStream('odd')).toMatchObject({ code: 'failed' })
  })
})

describe('a stream that could not be opened', () => {
  const late = new DOMException('late', 'TimeoutError')
  const answered = (status: number, bodyText: string) =>
    new DialError('DIAL_UPGRADE_REFUSED', `${status}`, {
      phase: 'upgrade',
      leg: 'server',
      status,
      bodyText,
    })

  test.for([
    ['a server that is not there', late, new Error('ECONNREFUSED'), 'server_unreachable'],
    [
      'a server that is stopping',
      late,
      answered(503, '{"error":"server is shutting down"}'),
      'draining',
    ],
    [
      'a token that is not for it',
      new TunnelError('TUNNEL_UNAUTHORIZED', '401: x'),
      undefined,
      'not_permitted',
    ],
    [
      'a refusal for good',
      new TunnelError('TUNNEL_UPGRADE_REFUSED', '404: x'),
      undefined,
      'server_refused',
    ],
    [
      'Piko without an upstream',
      answered(502, '{"error":"no available upstreams"}'),
      undefined,
      'no_upstream',
    ],
    ['Piko out of reach', answered(504, ''), undefined, 'server_unreachable'],
    ['too many streams', new MuxError('MUX_STREAM_LIMIT', 'x'), undefined, 'limit_reached'],
    ['this side stopping', new TunnelError('TUNNEL_CLOSED', 'x'), undefined, 'stopping'],
    ['a defect', new Error('odd'), undefined, 'failed'],
  ] as const)('tells %s', ([, error, lastProblem, code]) => {
    expect(failureToOpen(error, lastProblem).code).toBe(code)
    expect(Object.keys(ACCESS_FAILURES)).toContain(code)
  })

  test('tells what the last attempt said', () => {
    expect(failureToOpen(late, new Error('connect ECONNREFUSED')).text).toBe(
      'there is no connection to the server: connect ECONNREFUSED',
    )
  })
})
