import { expect, test } from 'vitest'

import { isAuthError } from '../../src/errors.ts'
import {
  checkCredentials,
  hashPassword,
  isVerifier,
  verifyPassword,
  parseBasic,
} from '../../src/visitors/password.ts'

const basic = (text: string | Buffer): string => `Basic ${Buffer.from(text).toString('base64')}`

test('a verifier knows its password and no other', async () => {
  const verifier = await hashPassword('pässword:1')
  expect(verifier).not.toContain('ssword')
  expect(await verifyPassword('pässword:1', verifier)).toBe(true)
  // The same accent as two characters.
  expect(await verifyPassword('pa\u0308ssword:1', verifier)).toBe(true)
  expect(await verifyPassword('pässword:2', verifier)).toBe(false)
  expect(await verifyPassword('', verifier)).toBe(false)
})

test('equal passwords have different verifiers', async () => {
  const [one, other] = await Promise.all([hashPassword('same'), hashPassword('same')])
  expect(one).not.toBe(other)
})

test.each([
  '',
  'password',
  '$2b$10$abcdefghijklmnopqrstuv',
  `$scrypt$ln=15,r=8,p=1$${'A'.repeat(21)}$${'A'.repeat(43)}`,
  `$scrypt$ln=13,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  `$scrypt$ln=18,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  `$scrypt$ln=15,r=64,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`,
  `$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}\n`,
])('%j is no verifier, and no password is good for it', async (text) => {
  expect(isVerifier(text)).toBe(false)
  expect(await verifyPassword('', text)).toBe(false)
})

test.each([
  [basic('ann:secret'), { user: 'ann', password: 'secret' }],
  ['bAsIc  YW5uOnNlY3JldA==', { user: 'ann', password: 'secret' }],
  [basic('ann:a:b:c'), { user: 'ann', password: 'a:b:c' }],
  [basic('ann:'), { user: 'ann', password: '' }],
  [basic(':secret'), { user: '', password: 'secret' }],
  [basic('jürgen:pässword'), { user: 'jürgen', password: 'pässword' }],
  [basic('ju\u0308rgen:x'), { user: 'jürgen', password: 'x' }],
  [basic('日本:語'), { user: '日本', password: '語' }],
  [basic('ann%3Asecret:%20'), { user: 'ann%3Asecret', password: '%20' }],
  [basic(' ann : x '), { user: ' ann ', password: ' x ' }],
])('%s is read', (header, credentials) => {
  expect(parseBasic(header)).toEqual(credentials)
})

test.each([
  '',
  'Basic',
  'Basic ',
  'Basic:YW5uOnNlY3JldA==',
  'Basic YW5uOnNlY3JldA== YW5uOnNlY3JldA==',
  'Basic YW5uOnNlY3JldA==, Basic YW5uOnNlY3JldA==',
  'Basic YW5u_OnNlY3JldA',
  'Bearer YW5uOnNlY3JldA==',
  basic('no colon'),
  basic('a\nb:c'),
  basic('a:b\0c'),
  basic(Buffer.from([0x6a, 0xfc, 0x72, 0x3a, 0x78])),
  basic(`ann:${'x'.repeat(3000)}`),
])('%j is not', (header) => {
  expect(parseBasic(header)).toBeUndefined()
})

test.each([
  ['a:b', 'secret'],
  ['ann', ''],
  ['ann', 'x'.repeat(1025)],
  ['a'.repeat(256), 'x'],
  ['an\nn', 'secret-word'],
  ['ann', 'secret\tword'],
])(
  'VISITORS_PASSWORD_INVALID for user %j with %j, and the text repeats neither',
  (user, password) => {
    let said: unknown
    try {
      checkCredentials(user, password)
    } catch (error) {
      said = error
    }
    expect(isAuthError(said, 'VISITORS_PASSWORD_INVALID')).toBe(true)
    expect(String(said)).not.toMatch(/secret/)
  },
)
