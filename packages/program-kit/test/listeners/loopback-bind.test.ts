import { expect, test } from 'vitest'
import { parseListenAddress } from '@proj/config'

import { isLoopbackBind } from '../../src/listeners/loopback-bind.ts'

test.for([
  ['127.0.0.1:80', true],
  ['127.9.9.9:80', true],
  ['[::1]:80', true],
  ['localhost:80', true],
  ['tcp6://localhost:80', true],
  ['unix:/run/x.sock', true],
  [':80', false],
  ['0.0.0.0:80', false],
  ['[::]:80', false],
  ['192.168.1.5:80', false],
  ['[fe80::1%eth0]:80', false],
  ['printers.example:80', false],
  ['fd:3', false],
] as const)('%s is reachable from this machine alone: %s', ([address, expected]) => {
  expect(isLoopbackBind(parseListenAddress(address))).toBe(expected)
})
