import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import {
  formatDuration,
  formatRate,
  formatSize,
  isConfigError,
  parseDuration,
  parseRate,
  parseSize,
} from '../../src/index.ts'
import {
  formatAddressBlock,
  formatDialAddress,
  formatListenAddress,
  formatPort,
  formatPortRange,
  formatSourceAddress,
  parseAddressBlock,
  parseBindHost,
  parseDialAddress,
  parseListenAddress,
  parsePort,
  parsePortRange,
  parseSourceAddress,
} from '../../src/address.ts'

const GRAMMARS = [
  ['listen address', parseListenAddress, formatListenAddress],
  ['dial address', parseDialAddress, formatDialAddress],
  ['source address', parseSourceAddress, formatSourceAddress],
  ['address block', parseAddressBlock, formatAddressBlock],
  ['host to listen on', parseBindHost, String],
  ['port or any', parsePort, formatPort],
  ['port range', parsePortRange, formatPortRange],
  ['duration', parseDuration, formatDuration],
  ['size', parseSize, formatSize],
  ['event rate', (text: string) => parseRate(text, 'events'), formatEvents],
  ['byte rate', (text: string) => parseRate(text, 'bytes'), formatBytes],
] as readonly (readonly [string, (text: string) => unknown, (value: never) => string])[]

const PIECES =
  ': [ ] % %25 :: . - / // * ?v6only=1 , @ localhost tcp4:// tcp6:// unix: fd: fe80::1 127.0.0.1 eth0 s ms m h d KiB MB B k inf /s 0x + any ü'
    .split(' ')
    .concat([' ', '\0', '\n'])

/** Pieces that look like parts of the grammars, so that many texts are nearly right. */
const pieces = fc.oneof(
  fc.constantFrom(...PIECES),
  fc.integer({ min: 0, max: 70_000 }).map(String),
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV6().map((address) => `[${address}]`),
  fc.domain(),
  fc.string({ maxLength: 4 }),
)
const texts = fc.oneof(
  fc.array(pieces, { maxLength: 6 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary' }),
)

test.each(GRAMMARS)(
  '%s: any text is refused with a ConfigError or survives the round trip',
  (_name, parse, format) => {
    fc.assert(
      fc.property(texts, (text) => {
        let value: unknown
        try {
          value = parse(text)
        } catch (error) {
          if (!isConfigError(error)) throw error
          return
        }
        const canonical = format(value as never)
        const again = parse(canonical)
        expect(again).toEqual(value)
        expect(format(again as never)).toBe(canonical)
      }),
      { numRuns: 3000 },
    )
  },
)

test('every whole number of milliseconds and bytes survives the round trip', () => {
  const hundredYearsMs = 36_525 * 86_400_000
  fc.assert(
    fc.property(fc.integer({ min: 0, max: hundredYearsMs }), fc.maxSafeNat(), (ms, bytes) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms)
      expect(parseSize(formatSize(bytes))).toBe(bytes)
    }),
  )
})

function formatEvents(rate: ReturnType<typeof parseRate>): string {
  return formatRate(rate, 'events')
}

function formatBytes(rate: ReturnType<typeof parseRate>): string {
  return formatRate(rate, 'bytes')
}
