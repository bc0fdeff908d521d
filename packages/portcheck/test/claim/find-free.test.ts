import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { describe, expect, it, onTestFinished } from 'vitest'

import { claim } from '../../src/claim/claim-port.ts'
import type { Claim } from '../../src/claim/claim.ts'
import { findFree, type FindFreeOptions, isUnsafePort } from '../../src/claim/find-free.ts'

describe('findFree', () => {
  it('claims a dual-stack port', async () => {
    const { endpoints, port } = await found()
    expect(endpoints).toEqual([{ host: '::', port, dual: true }])
  })

  it('gives fifty parallel callers fifty ports', async () => {
    const claims = await Promise.all(Array.from({ length: 50 }, async () => await found()))
    expect(new Set(claims.map((one) => one.port)).size).toBe(50)
  })

  it('stays in its range and continues at its start', async () => {
    const { first, last } = await freePair()
    const range = { first, last }
    const one = await found({ host: '127.0.0.1', range, random: () => 0.99 })
    const two = await found({ host: '127.0.0.1', range, random: () => 0.99 })
    expect([one.port, two.port]).toEqual([last, first])
    await expect(found({ host: '127.0.0.1', range })).rejects.toMatchObject({
      code: 'PORTCHECK_RANGE_EXHAUSTED',
      message: `no free port for ports ${first} to ${last}`,
      cause: { code: 'PORTCHECK_PORT_BUSY' },
    })
  })

  it('takes the first preferred port that is free, then another', async () => {
    const { first, last } = await freePair()
    const options = { host: '127.0.0.1', prefer: [last, first] }
    const ports = [(await found(options)).port, (await found(options)).port]
    expect(ports).toEqual([last, first])
    const { port } = await found(options)
    expect([last, first]).not.toContain(port)
    const range = { first, last }
    await expect(found({ ...options, range })).rejects.toMatchObject({
      code: 'PORTCHECK_RANGE_EXHAUSTED',
    })
  })

  it.each([0, -1, 1.5, 65_536])('rejects the preferred port %d', async (port) => {
    await expect(found({ prefer: [port] })).rejects.toThrow('prefer must be ports from 1 to 65535')
  })

  it('skips the ports in avoid', async () => {
    const { first, last } = await freePair()
    const avoid = [first]
    const one = await found({ host: '127.0.0.1', range: { first, last }, avoid, random: () => 0 })
    expect(one.port).toBe(last)
  })

  it.skipIf(!hasForeignSockets)('avoids a port held on the other family', async () => {
    await using foreign = await foreignSocket({ host: '::1' })
    const range = { first: foreign.port, last: foreign.port }
    await expect(found({ host: '127.0.0.1', range })).rejects.toMatchObject({
      code: 'PORTCHECK_RANGE_EXHAUSTED',
    })
  })

  it('fails at once when this machine does not have the host', async () => {
    await expect(found({ host: '192.0.2.77' })).rejects.toMatchObject({
      code: 'PORTCHECK_ADDRESS_ABSENT',
    })
  })

  it.each([
    { first: 0, last: 10 },
    { first: 10, last: 9 },
    { first: 1, last: 65_536 },
  ])('rejects the range %j', async (range) => {
    await expect(found({ range })).rejects.toThrow(RangeError)
  })

  it('rejects with the reason of its signal', async () => {
    const reason = new Error('no')
    await expect(found({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('isUnsafePort', () => {
  it.each([
    [6000, 'linux', true],
    [6001, 'linux', false],
    [5000, 'linux', false],
    [5000, 'darwin', true],
    [7000, 'darwin', true],
  ] as const)('of %d on %s is %s', (port, platform, unsafe) => {
    expect(isUnsafePort(port, platform)).toBe(unsafe)
  })
})

async function found(options?: FindFreeOptions): Promise<Claim> {
  const claimed = await findFree(options)
  onTestFinished(() => claimed.destroy())
  return claimed
}

/** Two free ports in a row. */
async function freePair(): Promise<{ first: number; last: number }> {
  for (;;) {
    const one = await claim('127.0.0.1:0')
    try {
      const two = await claim(`127.0.0.1:${one.port + 1}`)
      two.destroy()
      return { first: one.port, last: two.port }
    } catch {
      // the next port is held, or there is none
    } finally {
      one.destroy()
    }
  }
}
