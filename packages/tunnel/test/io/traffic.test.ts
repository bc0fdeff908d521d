import { expect, test } from 'vitest'

import { Traffic } from '../../src/io/traffic.ts'

test('bytes of open connections count, and stay counted when they are over', () => {
  const traffic = new Traffic()
  const one = { bytesToSocket: 1, bytesFromSocket: 10 }
  const other = { bytesToSocket: 2, bytesFromSocket: 20 }
  traffic.add(one)
  traffic.add(other)
  one.bytesToSocket = 5
  const seen = () => {
    const { open, total, bytesToSocket, bytesFromSocket } = traffic
    return { open, total, bytesToSocket, bytesFromSocket }
  }
  expect(seen()).toEqual({ open: 2, total: 2, bytesToSocket: 7, bytesFromSocket: 30 })
  traffic.remove(one)
  traffic.remove(one)
  one.bytesToSocket = 500
  expect(seen()).toEqual({ open: 1, total: 2, bytesToSocket: 7, bytesFromSocket: 30 })
})
