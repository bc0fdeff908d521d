import { describe, expect, it } from 'vitest'

import { DialError } from '../../src/index.ts'
import { AttemptLog } from '../../src/connect/attempt-log.ts'

const system = (code: string, syscall = 'connect'): Error =>
  Object.assign(new Error(`${syscall} ${code}`), { code, syscall })

function folded(...attempts: readonly (readonly [error: unknown, source?: string])[]): DialError {
  const log = new AttemptLog()
  for (const [error, source] of attempts) {
    const failed = log.begin('192.0.2.1:443', source)
    if (error !== undefined) failed(error)
  }
  return log.toError('server.test:443', 'server')
}

describe('AttemptLog', () => {
  it.each([
    ['EADDRNOTAVAIL', 'bind', 'DIAL_BIND_NOT_LOCAL', 'local'],
    ['EADDRINUSE', 'bind', 'DIAL_BIND_PORT_BUSY', 'local'],
    ['EACCES', 'bind', 'DIAL_BIND_DENIED', 'local'],
    ['EPERM', 'bind', 'DIAL_BIND_DENIED', 'local'],
    ['EINVAL', 'bind', 'DIAL_BIND_ZONE', 'local'],
    ['EADDRNOTAVAIL', 'connect', 'DIAL_BIND_PORT_BUSY', 'local'],
    ['EADDRINUSE', 'connect', 'DIAL_BIND_PORT_BUSY', 'local'],
    ['ECONNREFUSED', 'connect', 'DIAL_CONNECT_REFUSED', 'server'],
    ['ECONNRESET', 'read', 'DIAL_CONNECT_RESET', 'server'],
    ['ETIMEDOUT', 'connect', 'DIAL_CONNECT_TIMEOUT', 'server'],
    ['ENETUNREACH', 'connect', 'DIAL_CONNECT_UNREACHABLE', 'server'],
    ['EHOSTUNREACH', 'connect', 'DIAL_CONNECT_UNREACHABLE', 'server'],
    ['EINVAL', 'connect', 'DIAL_CONNECT_FAILED', 'server'],
    ['EPERM', 'connect', 'DIAL_CONNECT_FAILED', 'server'],
  ])('maps %s of %s to %s', (errno, syscall, code, leg) => {
    const error = folded([system(errno, syscall), '10.0.0.1'])
    expect([error.code, error.leg]).toEqual([code, leg])
    expect(error.cause).toMatchObject({ code: errno })
    expect(error.attempts).toEqual([
      {
        address: '192.0.2.1:443',
        source: '10.0.0.1',
        outcome: expect.any(String),
        elapsedMs: expect.any(Number),
      },
    ])
  })

  it('maps EINVAL of connect with a loopback source to DIAL_BIND_LOOPBACK', () => {
    expect(folded([system('EINVAL'), '127.0.0.1']).code).toBe('DIAL_BIND_LOOPBACK')
  })

  it('maps EADDRNOTAVAIL of connect without a source to DIAL_CONNECT_UNREACHABLE', () => {
    const error = folded([system('EADDRNOTAVAIL')])
    expect([error.code, error.leg]).toEqual(['DIAL_CONNECT_UNREACHABLE', 'server'])
    // ::1 on a host without IPv6: what the other loopback said is what counts.
    expect(folded([system('EADDRNOTAVAIL')], [system('ECONNREFUSED')]).code).toBe(
      'DIAL_CONNECT_REFUSED',
    )
  })

  it('counts a running attempt as one without an answer', () => {
    const error = folded([undefined])
    expect(error.code).toBe('DIAL_CONNECT_TIMEOUT')
    expect(error.message).toMatch(
      /^cannot reach the server at server\.test:443: .* gave no answer in /,
    )
  })

  it('has the code of the most useful attempt', () => {
    const unreachable = [system('ENETUNREACH')] as const
    const foreign = [system('EADDRNOTAVAIL', 'bind'), '10.0.0.1'] as const
    const refused = [system('ECONNREFUSED')] as const
    expect(folded(unreachable, [undefined]).code).toBe('DIAL_CONNECT_TIMEOUT')
    expect(folded(unreachable, foreign).code).toBe('DIAL_BIND_NOT_LOCAL')
    expect(folded([undefined], refused, unreachable).code).toBe('DIAL_CONNECT_REFUSED')
  })

  it('keeps the hint and the retry class of a DialError', () => {
    const inner = new DialError('DIAL_BIND_DEVICE', 'no', {
      phase: 'bind',
      leg: 'local',
      hint: 'do that',
      retry: 'slow',
    })
    expect(folded([inner])).toMatchObject({ code: inner.code, hint: 'do that', retry: 'slow' })
  })
})
