import { expect, test } from 'vitest'

import { Secrets } from '../../src/inspect/secrets.ts'

const secrets = new Secrets(['X-Own-Key'])
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'

test.each([
  ['/a', '/a'],
  ['/a?b=c', '/a?b=c'],
  ['/a?token=x&b=token', '/a?token=hidden&b=token'],
  ['/a?TOKEN=x', '/a?TOKEN=hidden'],
  ['/a?to%6ben=x', '/a?to%6ben=hidden'],
  ['/a?user[password]=x', '/a?user[password]=hidden'],
  ['/a?x-own-key=x', '/a?x-own-key=hidden'],
  ['/a?token=', '/a?token='],
  ['/a?%zz=1&sig=2', '/a?%zz=1&sig=hidden'],
  [`/a/${JWT}`, '/a/hidden'],
  [`/a?x=${JWT}`, '/a?x=hidden'],
  ['https://ann:pw@example.com/a', 'https://hidden@example.com/a'],
  ['https://example.com/a#access_token=x', 'https://example.com/a#hidden'],
  ['https://example.com/a?b=1#access_token=x', 'https://example.com/a?b=1#hidden'],
])('the target %s is shown as %s', (target, shown) => {
  expect(secrets.maskTarget(target)).toBe(shown)
})

test.each([
  ['Accept', '*/*', '*/*'],
  ['Authorization', 'Bearer abc', 'Bearer'],
  ['Authorization', 'abc', ''],
  ['Cookie', 'a=1; b=2', 'a=hidden; b=hidden'],
  ['Set-Cookie', 'sid=1; Path=/; HttpOnly', 'sid=hidden; Path=/; HttpOnly'],
  ['X-Own-Key', 'abc', ''],
  ['Referer', 'https://example.com/?token=abc', 'https://example.com/?token=hidden'],
  ['X-Any', `a ${JWT} b`, 'a hidden b'],
])('the header %s: %s is shown as "%s"', (name, value, shown) => {
  const [field] = secrets.maskHeaders([name, value])
  expect(field?.value).toBe(shown)
  expect(field?.hidden).toBe(shown === value ? undefined : value.length)
})
