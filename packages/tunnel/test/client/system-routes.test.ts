import { existsSync } from 'node:fs'

import { expect, test } from 'vitest'

import { ipv4Routes, ipv6Routes, readSystemRoutes } from '../../src/client/system-routes.ts'

const V4_TABLE = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\tFE0200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
`

const V6_TABLE = `00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000004 00000000 00000001     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000009 00000000 80200001       lo
`

test('reads the routes of the tables of Linux', () => {
  expect(ipv4Routes(V4_TABLE)).toEqual([
    '00000000/00000000 FE0200C0 eth0 100',
    '000200C0/00FFFFFF 00000000 eth0 100',
  ])
  expect(ipv6Routes(V6_TABLE)).toEqual([
    '00000000000000000000000000000000/00 fd000000000000000000000000000001 eth0 00000400',
    'fd000000000000000000000000000000/40 00000000000000000000000000000000 eth0 00000100',
  ])
})

test('counts of uses are no change', () => {
  const used = V6_TABLE.replace('00000003 00000000 00000003', '00000007 0000abcd 00000003')
  expect(used).not.toBe(V6_TABLE)
  expect(ipv6Routes(used)).toEqual(ipv6Routes(V6_TABLE))
})

test('a table that is cut anywhere gives no half of a route', () => {
  for (const [table, read] of [
    [V4_TABLE, ipv4Routes],
    [V6_TABLE, ipv6Routes],
  ] as const) {
    const whole = read(table)
    for (let end = 0; end < table.length; end += 1) {
      const routes = read(table.slice(0, end))
      expect(whole.slice(0, routes.length)).toEqual(routes)
    }
  }
})

test.runIf(existsSync('/proc/net/route'))('reads those of this machine', () => {
  expect(readSystemRoutes()).toBeInstanceOf(Set)
})
