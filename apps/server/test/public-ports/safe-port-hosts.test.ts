import { describe, expect, test } from 'vitest'

import { safePortHosts } from '../../src/public-ports/public-port-settings.ts'

const UNPROTECTED = { hasAllowList: false, agentsAreKnown: false, insecureOpen: false }

describe('where agents do not authenticate', () => {
  test('ports are on loopback without a configured host', () => {
    expect(safePortHosts({ ...UNPROTECTED, hosts: undefined })).toEqual(['localhost'])
  })

  test.each([['localhost'], ['127.0.0.1'], ['127.9.9.9'], ['::1']])('%s may be chosen', (host) => {
    expect(safePortHosts({ ...UNPROTECTED, hosts: [host] })).toEqual([host])
  })

  test.each([['*'], ['::'], ['0.0.0.0'], ['192.0.2.1'], ['2001:db8::1'], ['nas.lan']])(
    '%s is refused, also beside loopback',
    (host) => {
      const choose = () => safePortHosts({ ...UNPROTECTED, hosts: ['127.0.0.1', host] })
      expect(choose).toThrow(
        expect.objectContaining({
          message: expect.stringContaining(`other machines can connect to ${host},`),
        }),
      )
    },
  )
})

test.each(['hasAllowList', 'agentsAreKnown', 'insecureOpen'])(
  'with %s nothing is changed',
  (why) => {
    const protectedBy = { ...UNPROTECTED, [why]: true }
    expect(safePortHosts({ ...protectedBy, hosts: ['*'] })).toEqual(['*'])
    expect(safePortHosts({ ...protectedBy, hosts: undefined })).toBeUndefined()
  },
)
