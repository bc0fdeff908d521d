import { constants, deflateRawSync } from 'node:zlib'

import { expect, test } from 'vitest'

import { inflateMessages } from '../../src/inspect/decode-body.ts'

const KIB = 1024

/** A message of permessage-deflate without context takeover, as a sender makes it. */
function compressed(content: Buffer) {
  const whole = deflateRawSync(content, { finishFlush: constants.Z_SYNC_FLUSH })
  const data = whole.subarray(0, -4)
  return { data, bytes: data.length, isCompressed: true }
}

test('compressed messages are read in order, with those that are not between them', () => {
  const plain = { data: Buffer.from('plain'), bytes: 5, isCompressed: false }
  const messages = [compressed(Buffer.from('one')), plain, compressed(Buffer.from('two'))]
  expect(inflateMessages(messages, true).map(String)).toEqual(['one', 'plain', 'two'])
})

test('what messages become in all is bounded: few bytes may become very many', () => {
  const message = compressed(Buffer.alloc(1000 * KIB))
  expect(message.bytes).toBeLessThan(2 * KIB)
  const read = inflateMessages(
    Array.from({ length: 100 }, () => message),
    true,
  )
  const bytes = read.reduce((sum, content) => sum + (content?.length ?? 0), 0)
  expect(bytes).toBeGreaterThan(1000 * KIB)
  expect(bytes).toBeLessThanOrEqual(8 * KIB * KIB)
  expect(read.at(-1)).toBeUndefined()
})
