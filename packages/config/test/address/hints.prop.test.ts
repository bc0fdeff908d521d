// A hint is followed word by word, so what it says to write must be accepted by the same reader.
import { describe, expect, it } from 'vitest'

import {
  isConfigError,
  parseAddressBlock,
  parseBindHost,
  parseDialAddress,
  parseListenAddress,
  parseServiceAddress,
  parseSourceAddress,
} from '../../src/address.ts'

const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  parseListenAddress,
  parseDialAddress,
  parseServiceAddress,
  parseSourceAddress,
  parseBindHost,
  parseAddressBlock,
}

const HOSTS = [
  '1.2.3.4',
  '[1.2.3.4]',
  '::ffff:1.2.3.4',
  '[::ffff:1.2.3.4]',
  '2001:db8::1',
  '[2001:db8::1%eth0]',
  'fe80::1',
  '[fe80::1]',
  '[fe80::1%eth0]',
  'name.test',
  'localhost',
  '*',
  '',
  '[]',
  '0.0.0.0',
  '[::]',
  '/run/x.sock',
  './x.sock',
  '../x.sock',
  'user@name.test',
]
const BEHIND = [
  '',
  ':80',
  ':0',
  '/path',
  ':80/path',
  '?v6only=1',
  ':80?v6only=1',
  '/24',
  '%eth0/64',
]
const BEFORE = ['', 'http://', 'https://', 'tcp://', 'tcp4://', 'tcp6://', 'unix:', 'fd:', 'ftp://']

function hintOf(read: (text: string) => unknown, text: string): string | undefined {
  try {
    read(text)
    return undefined
  } catch (error) {
    if (!isConfigError(error)) throw error
    return error.hint
  }
}

describe.each(Object.entries(READERS))('the hints of %s', (_name, read) => {
  it('say what it accepts', () => {
    const wrong: string[] = []
    for (const before of BEFORE) {
      for (const host of HOSTS) {
        for (const behind of BEHIND) {
          const text = before + host + behind
          const hint = hintOf(read, text)
          // Other hints explain a form, or name two.
          const [, written] = /^write (\S*)$/.exec(hint ?? '') ?? []
          if (written === undefined || written === 'host:port') continue
          try {
            read(written)
          } catch {
            wrong.push(`${text}: ${hint ?? ''}`)
          }
        }
      }
    }
    expect(wrong).toEqual([])
  })

  it('are never empty', () => {
    for (const text of ['/run/x.sock', './x', '/', 'http://', '@', '?']) {
      expect(hintOf(read, text)).not.toBe('write ')
    }
  })
})

it('keeps the port', () => {
  expect(hintOf(parseListenAddress, '[1.2.3.4]:81')).toBe('write 1.2.3.4:81')
  expect(hintOf(parseListenAddress, '[::ffff:1.2.3.4]:81')).toBe('write 1.2.3.4:81')
  expect(hintOf(parseListenAddress, '/run/x.sock')).toBe('write unix:/run/x.sock')
  expect(hintOf(parseDialAddress, 'https://name.test/path')).toBe('write name.test:443')
})
