import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isMuxError, MUX_ERRORS, MuxError } from '../src/index.ts'
import { frames, Rig } from './wire.ts'

describe('MuxError', () => {
  test('has a message, a code and a cause', () => {
    const cause = new Error('below')
    const error = new MuxError('MUX_TRANSPORT_FAILED', 'transport failed', { cause })
    expect(error).toMatchObject({ name: 'MuxError', code: 'MUX_TRANSPORT_FAILED', cause })
    expect(error).toMatchObject({ reason: 0, goAwayCode: 0, retryable: true })
    expect(String(error)).toBe('MuxError: transport failed')
    expect('cause' in new MuxError('MUX_QUEUE_FULL', 'full')).toBe(false)
  })

  test('isMuxError recognises errors by name and code, also of another copy of the package', () => {
    const error = new MuxError('MUX_STREAM_RESET', 'reset')
    const copy = Object.assign(new Error('reset'), { name: 'MuxError', code: 'MUX_STREAM_RESET' })
    for (const one of [error, copy]) {
      expect(isMuxError(one)).toBe(true)
      expect(isMuxError(one, 'MUX_STREAM_RESET')).toBe(true)
      expect(isMuxError(one, 'MUX_STREAM_LIMIT')).toBe(false)
    }
  })

  test.each([
    undefined,
    null,
    'MuxError',
    { name: 'MuxError', code: 'MUX_STREAM_RESET' },
    new Error('plain'),
    Object.assign(new Error('other'), { name: 'MuxError' }),
    Object.assign(new Error('other'), { name: 'MuxError', code: 'ECONNRESET' }),
    Object.assign(new Error('other'), { name: 'MuxError', code: 'constructor' }),
    Object.assign(new Error('other'), { code: 'MUX_STREAM_RESET' }),
  ])('is not %s', (value) => {
    expect(isMuxError(value)).toBe(false)
  })

  test('every error that the peer causes and that ends the session has GoAway 1', () => {
    for (const [code, info] of Object.entries(MUX_ERRORS)) {
      expect(code).toMatch(/^MUX(?:_[A-Z]+)+$/)
      expect(info.what).toMatch(/^[a-z`].*[^.]$/)
      expect([undefined, 1, 2]).toContain(info.goAway)
    }
  })

  test('contains no byte of the stream', async () => {
    const rig = new Rig()
    const errors: unknown[] = []
    const { channel, recorder } = rig.open()
    recorder.onClose = (error) => errors.push(error)
    channel.write(Buffer.from('secret token'))
    rig.feed(frames('DATA - 2 secret answer', 'WND RST 2 1'))
    const shown = inspect(errors, { depth: 9, showHidden: true }) + JSON.stringify(errors)
    expect(shown).toContain('MUX_STREAM_RESET')
    expect(shown).not.toContain('secret')
  })
})
