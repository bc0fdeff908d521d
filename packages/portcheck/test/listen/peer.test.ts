import { describe, expect, it } from 'vitest'

import { AddressList } from '@proj/config/address'

import { normalisePeer } from '../../src/listen/peer.ts'

describe('normalisePeer', () => {
  it.each([
    ['127.0.0.1', { address: '127.0.0.1', family: 'ipv4', port: 9 }],
    ['::ffff:192.0.2.1', { address: '192.0.2.1', family: 'ipv4', port: 9 }],
    ['::ffff:c000:201', { address: '192.0.2.1', family: 'ipv4', port: 9 }],
    ['::FFFF:192.0.2.1', { address: '192.0.2.1', family: 'ipv4', port: 9 }],
    ['2001:db8::1', { address: '2001:db8::1', family: 'ipv6', port: 9 }],
    ['fe80::1%eth0', { address: 'fe80::1', family: 'ipv6', port: 9, zone: 'eth0' }],
  ])('reads %s', (address, peer) => {
    expect(normalisePeer(address, 9)).toEqual(peer)
  })
})

describe('an access list', () => {
  const mapped = normalisePeer('::ffff:10.1.2.3', 1)
  const v6 = normalisePeer('2001:db8::5', 1)

  it('allows every peer without lists', () => {
    const list = new AddressList({})
    expect([list.admits(mapped.address), list.admits(v6.address)]).toEqual([true, true])
  })

  it('allows no peer with an empty allow list', () => {
    expect(new AddressList({ allow: [] }).admits(v6.address)).toBe(false)
  })

  it('matches an IPv4 peer in IPv6 form with an IPv4 block', () => {
    expect(new AddressList({ allow: ['10.0.0.0/8'] }).admits(mapped.address)).toBe(true)
    expect(new AddressList({ deny: ['10.1.2.3'] }).admits(mapped.address)).toBe(false)
  })

  it('denies an address that is in both lists', () => {
    const list = new AddressList({ allow: ['2001:db8::/32'], deny: ['2001:db8::5'] })
    const other = normalisePeer('2001:db8::6', 1)
    expect([list.admits(v6.address), list.admits(other.address)]).toEqual([false, true])
  })

  it.each(['10.0.0.0/33', 'example.org', '10.0.0', ''])('rejects the entry %j', (entry) => {
    expect(() => new AddressList({ deny: [entry] })).toThrow(
      expect.objectContaining({ code: 'CONFIG_ADDRESS_INVALID' }),
    )
  })
})
