import { describe, expect, it } from 'vitest'

import { createAccessList } from '../src/access-list.ts'
import { normalisePeer } from '../src/peer.ts'

describe('normalisePeer', () => {
  it.each([
    ['127.0.0.1', { address: '127.0.0.1', family: 'ipv4', port: 9 }],
    ['::ffff:192.0.2.1', { address: '192.0.2.1', family: 'ipv4', port: 9 }],
    ['::FFFF:192.0.2.1', { address: '192.0.2.1', family: 'ipv4', port: 9 }],
    ['2001:db8::1', { address: '2001:db8::1', family: 'ipv6', port: 9 }],
    ['fe80::1%eth0', { address: 'fe80::1', family: 'ipv6', port: 9, zone: 'eth0' }],
  ])('reads %s', (address, peer) => {
    expect(normalisePeer(address, 9)).toEqual(peer)
  })
})

describe('createAccessList', () => {
  const mapped = normalisePeer('::ffff:10.1.2.3', 1)
  const v6 = normalisePeer('2001:db8::5', 1)

  it('admits everybody without lists', () => {
    const isAllowed = createAccessList({})
    expect([isAllowed(mapped), isAllowed(v6)]).toEqual([true, true])
  })

  it('admits nobody with an empty allow list', () => {
    expect(createAccessList({ allow: [] })(v6)).toBe(false)
  })

  it('matches a mapped peer by an IPv4 network', () => {
    expect(createAccessList({ allow: ['10.0.0.0/8'] })(mapped)).toBe(true)
    expect(createAccessList({ deny: ['10.1.2.3'] })(mapped)).toBe(false)
  })

  it('lets deny win', () => {
    const isAllowed = createAccessList({ allow: ['2001:db8::/32'], deny: ['2001:db8::5'] })
    expect([isAllowed(v6), isAllowed(normalisePeer('2001:db8::6', 1))]).toEqual([false, true])
  })

  it.each(['10.0.0.0/33', 'example.org', '10.0.0', ''])('refuses the entry %j', (entry) => {
    expect(() => createAccessList({ deny: [entry] })).toThrow(/address/)
  })
})
