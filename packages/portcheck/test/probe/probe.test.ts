import { describe, expect, it, onTestFinished } from 'vitest'

import { claim } from '../../src/claim/claim-port.ts'
import { probe } from '../../src/probe/probe.ts'

describe('probe', () => {
  it('reports free and leaves the port free', async () => {
    const { port } = await ended('127.0.0.1:0')
    for (let round = 0; round < 2; round += 1) {
      expect(await probe(`127.0.0.1:${port}`)).toMatchObject({
        want: `127.0.0.1:${port}`,
        endpoints: [{ host: '127.0.0.1', port, dual: false }],
        bind: 'free',
        holders: [],
        warnings: [],
        confidence: 'certain',
        platform: process.platform,
        tookMs: expect.any(Number),
      })
    }
  })

  it('reports busy without an error, and the busy socket', async () => {
    const { port } = await ended(0)
    const held = await claim(`[::1]:${port}`)
    onTestFinished(() => held.destroy())
    expect(await probe(`localhost:${held.port}`)).toMatchObject({
      bind: 'busy',
      errno: 'EADDRINUSE',
      failed: { host: '::1', port: held.port },
      confidence: 'certain',
    })
  })

  it.each([
    ['192.0.2.77:80', 'no-address', 'EADDRNOTAVAIL'],
    ['[fe80::1%nosuch0]:80', 'bad-address', 'EINVAL'],
    ['no-such-name.invalid:80', 'bad-address', expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/)],
  ])('answers %s with %s', async (want, bind, errno) => {
    expect(await probe(want)).toMatchObject({ bind, errno })
  })

  it.each([
    [-1, RangeError],
    [65_536, RangeError],
    [1.5, RangeError],
    [Number.NaN, RangeError],
  ])('rejects port %d', async (port, error) => {
    await expect(probe(port)).rejects.toThrow(error)
  })

  it.each(['127.1:80', '2001:db8::1:8080', 'unix:/tmp/x', '[127.0.0.1]:80', '+80', ''])(
    'refuses %j as an address',
    async (want) => {
      await expect(probe(want)).rejects.toThrow(Error)
    },
  )
})

async function ended(want: string | number): Promise<{ port: number }> {
  await using held = await claim(want)
  return { port: held.port }
}
