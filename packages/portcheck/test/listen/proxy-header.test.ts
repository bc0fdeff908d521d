import { describe, expect, it } from 'vitest'

import { MAX_PROXY_HEADER_BYTES, readProxyHeader } from '../../src/listen/proxy-header.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'

/** Source 192.0.2.1:52001, destination 192.0.2.9:443. */
const V4 = 'c0000201 c0000209 cb21 01bb'.replaceAll(' ', '')
/** Source [2001:db8::1]:52001, destination [2001:db8::9]:443. */
const V6 = `20010db8${'00'.repeat(11)}01 20010db8${'00'.repeat(11)}09 cb21 01bb`.replaceAll(' ', '')
/** Source ::ffff:192.0.2.1, as a balancer with a dual-stack socket may write it. */
const MAPPED = `${'00'.repeat(10)}ffffc0000201 ${'00'.repeat(10)}ffffc0000209 cb21 01bb`.replaceAll(
  ' ',
  '',
)

const v4Client = { address: '192.0.2.1', port: 52_001, family: 'ipv4' }
const v6Client = { address: '2001:db8::1', port: 52_001, family: 'ipv6' }

const binary = (hex: string): Buffer => Buffer.from(SIGNATURE + hex.replaceAll(' ', ''), 'hex')
const line = (text: string): Buffer => Buffer.from(`${text}\r\n`, 'latin1')

const whole: readonly (readonly [string, Buffer, object | undefined])[] = [
  ['v1 TCP4', line('PROXY TCP4 192.0.2.1 192.0.2.9 52001 443'), v4Client],
  ['v1 TCP6', line('PROXY TCP6 2001:db8::1 2001:db8::9 52001 443'), v6Client],
  ['v1 TCP6, long spelling', line('PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::9 52001 443'), v6Client],
  ['v1 TCP6, IPv4 inside', line('PROXY TCP6 ::ffff:192.0.2.1 ::9 52001 443'), v4Client],
  ['v1 UNKNOWN', line('PROXY UNKNOWN'), undefined],
  ['v1 UNKNOWN with addresses', line(`PROXY UNKNOWN ${'f'.repeat(80)}`), undefined],
  ['v2 TCP over IPv4', binary(`21 11 000c ${V4}`), v4Client],
  ['v2 TCP over IPv6', binary(`21 21 0024 ${V6}`), v6Client],
  ['v2 TCP over IPv6, IPv4 inside', binary(`21 21 0024 ${MAPPED}`), v4Client],
  ['v2 with extensions', binary(`21 11 0013 ${V4} 04 0004 00000000`), v4Client],
  ['v2 LOCAL', binary('20 00 0000'), undefined],
  ['v2 LOCAL with addresses', binary(`20 11 000c ${V4}`), undefined],
  ['v2 LOCAL of an unknown family', binary('20 ff 0002 0000'), undefined],
  ['v2 PROXY of no family', binary('21 00 0000'), undefined],
  ['v2 of a unix socket', binary(`21 31 00d8 ${'00'.repeat(216)}`), undefined],
]

const broken: readonly (readonly [string, Buffer])[] = [
  ['HTTP', line('GET / HTTP/1.1')],
  ['TLS', Buffer.from('160301', 'hex')],
  ['v1 in lower case', line('proxy TCP4 192.0.2.1 192.0.2.9 52001 443')],
  ['v1 of another family', line('PROXY UDP4 192.0.2.1 192.0.2.9 52001 443')],
  ['v1 TCP4 with IPv6', line('PROXY TCP4 ::1 ::1 52001 443')],
  ['v1 TCP6 with IPv4', line('PROXY TCP6 192.0.2.1 192.0.2.9 52001 443')],
  ['v1 with a zone', line('PROXY TCP6 fe80::1%eth0 ::1 52001 443')],
  ['v1 with a name', line('PROXY TCP4 localhost 192.0.2.9 52001 443')],
  ['v1 with octal numbers', line('PROXY TCP4 192.0.02.1 192.0.2.9 52001 443')],
  ['v1 with one port', line('PROXY TCP4 192.0.2.1 192.0.2.9 52001')],
  ['v1 with a port above 65535', line('PROXY TCP4 192.0.2.1 192.0.2.9 65536 443')],
  ['v1 with a port like 0443', line('PROXY TCP4 192.0.2.1 192.0.2.9 52001 0443')],
  ['v1 with two spaces', line('PROXY TCP4  192.0.2.1 192.0.2.9 52001 443')],
  ['v1 with one word more', line('PROXY TCP4 192.0.2.1 192.0.2.9 52001 443 1')],
  ['v1 with a word like UNKNOWN', line('PROXY UNKNOWNS')],
  ['v1 without an end', Buffer.from(`PROXY UNKNOWN ${'f'.repeat(107)}`, 'latin1')],
  ['v1 that ends with LF', Buffer.from(`PROXY UNKNOWN\n${' '.repeat(107)}`, 'latin1')],
  ['v1 of 108 bytes', line(`PROXY UNKNOWN ${'f'.repeat(92)}`)],
  ['version 3', binary(`31 11 000c ${V4}`)],
  ['an unknown command', binary(`22 11 000c ${V4}`)],
  ['UDP', binary(`21 12 000c ${V4}`)],
  ['an unknown family', binary(`21 41 000c ${V4}`)],
  ['shorter than its addresses', binary(`21 11 000b ${V4}`)],
  ['longer than the limit', binary(`21 11 ${(MAX_PROXY_HEADER_BYTES - 15).toString(16)} ${V4}`)],
]

describe('readProxyHeader', () => {
  it.each(whole)('reads %s, and not a byte more', (_, bytes, source) => {
    const expected = { kind: 'complete', length: bytes.length, source }
    expect(readProxyHeader(bytes)).toEqual(expected)
    expect(readProxyHeader(Buffer.concat([bytes, Buffer.from('PROXY ')]))).toEqual(expected)
  })

  it.each(whole)('waits for the rest of %s, wherever it is cut', (_, bytes) => {
    for (let end = 0; end < bytes.length; end += 1) {
      expect(readProxyHeader(bytes.subarray(0, end)), `${end} bytes`).toEqual({
        kind: 'incomplete',
      })
    }
  })

  it.each(broken)('rejects %s', (_, bytes) => {
    expect(readProxyHeader(bytes)).toEqual({ kind: 'invalid', why: expect.any(String) })
  })

  it('rejects what is no header with its first byte', () => {
    expect(readProxyHeader(Buffer.from('G')).kind).toBe('invalid')
    expect(readProxyHeader(Buffer.from('0d0a0d0a01', 'hex')).kind).toBe('invalid')
  })

  it('never waits for more than its limits', () => {
    const longest = Buffer.alloc(MAX_PROXY_HEADER_BYTES)
    binary(`21 11 ${(MAX_PROXY_HEADER_BYTES - 16).toString(16).padStart(4, '0')} ${V4}`).copy(
      longest,
    )
    expect(readProxyHeader(longest)).toMatchObject({ length: MAX_PROXY_HEADER_BYTES })
  })
})
