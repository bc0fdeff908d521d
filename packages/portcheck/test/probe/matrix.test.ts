// All combinations of two programs on one port, on Linux: whether the second bind succeeds, which program
// accepts on which loopback, and whether there is a warning for every shared port.
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

import {
  foreignSocket,
  type ForeignSocketOptions,
  hasForeignSockets,
} from '@proj/testkit/foreign-socket'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { claim } from '../../src/claim/claim-port.ts'
import { supportsReusePort } from '../../src/claim/open-server.ts'
import { probe } from '../../src/probe/probe.ts'
import type { WantParts } from '../../src/claim/wanted-address.ts'

const HOLDERS = {
  '0.0.0.0': { host: '0.0.0.0' },
  '127.0.0.1': { host: '127.0.0.1' },
  ':: dual': { host: '::' },
  ':: v6-only': { host: '::', v6only: true },
  '::1': { host: '::1' },
} as const satisfies Record<string, ForeignSocketOptions>

const WANTS = {
  default: {},
  '0.0.0.0': { host: '0.0.0.0' },
  '127.0.0.1': { host: '127.0.0.1' },
  ':: dual': { host: '::' },
  ':: ipv6Only': { host: '::', ipv6Only: true },
  '::1': { host: '::1' },
  localhost: { host: 'localhost' },
} as const satisfies Record<string, Omit<WantParts, 'port'>>

type HolderName = keyof typeof HOLDERS
type WantName = keyof typeof WANTS

/** Cells of the matrix whose bind succeeds beside a holder; all others are busy. */
const SPLITS: Record<HolderName, readonly WantName[]> = {
  '0.0.0.0': [':: ipv6Only', '::1'],
  '127.0.0.1': [':: ipv6Only', '::1'],
  ':: dual': [],
  ':: v6-only': ['0.0.0.0', '127.0.0.1'],
  '::1': ['0.0.0.0', '127.0.0.1'],
}

const OPTIONS: readonly Pick<ForeignSocketOptions, 'reuseAddr' | 'reusePort'>[] = [
  {},
  { reuseAddr: true },
  { reusePort: true },
  { reuseAddr: true, reusePort: true },
]

const names = <Name extends string>(table: Record<Name, unknown>): Name[] =>
  Object.keys(table) as Name[]

describe.skipIf(!hasForeignSockets || process.platform !== 'linux')('without reusePort', () => {
  for (const options of OPTIONS) {
    for (const holder of names(HOLDERS)) {
      describe(`beside a holder of ${holder} with ${JSON.stringify(options)}`, () => {
        let foreign: Awaited<ReturnType<typeof foreignSocket>>
        beforeAll(async () => {
          foreign = await foreignSocket({ ...HOLDERS[holder], ...options })
        })
        afterAll(async () => await foreign.close())

        for (const want of names(WANTS).filter((name) => !SPLITS[holder].includes(name))) {
          it(`${want} is in use`, async () => {
            const report = await probe({ ...WANTS[want], port: foreign.port })
            expect(report).toMatchObject({ bind: 'busy', errno: 'EADDRINUSE' })
          })
        }
        for (const want of SPLITS[holder]) {
          it(`${want} binds silently, and PC101 says whom localhost may reach`, async () => {
            const parts = { ...WANTS[want], port: foreign.port }
            const { bind, warnings } = await probe(parts)
            expect(bind).toBe('free')
            expect(warnings).toMatchObject([
              { code: 'PC101', holder: { pid: foreign.pid, port: foreign.port } },
            ])
            await using claimed = await claim(parts)
            claimed.serve((socket) => socket.end('N'))
            const v4 = HOLDERS[holder].host.includes(':') ? 'N' : 'H'
            expect(await whoAnswers('127.0.0.1', foreign.port)).toBe(v4)
            expect(await whoAnswers('::1', foreign.port)).toBe(v4 === 'N' ? 'H' : 'N')
          })
        }
      })
    }
  }
})

/** New socket x holder, both with SO_REUSEPORT, one user: the expected codes. */
const SHARED: Record<HolderName, Partial<Record<WantName, readonly string[]>>> = {
  '0.0.0.0': {
    ':: dual': ['PC104'],
    '0.0.0.0': ['PC105'],
    '127.0.0.1': ['PC103'],
    ':: ipv6Only': ['PC101'],
    '::1': ['PC101'],
  },
  '127.0.0.1': {
    ':: dual': ['PC102'],
    '0.0.0.0': ['PC102'],
    '127.0.0.1': ['PC105'],
    ':: ipv6Only': ['PC101'],
    '::1': ['PC101'],
  },
  ':: dual': {
    ':: dual': ['PC105'],
    '0.0.0.0': ['PC101', 'PC103'],
    '127.0.0.1': ['PC101', 'PC103'],
    ':: ipv6Only': ['PC101', 'PC106'],
    '::1': ['PC101', 'PC103'],
  },
  ':: v6-only': {
    ':: dual': ['PC102'],
    '0.0.0.0': ['PC101'],
    '127.0.0.1': ['PC101'],
    ':: ipv6Only': ['PC105'],
    '::1': ['PC103'],
  },
  '::1': {
    ':: dual': ['PC102'],
    '0.0.0.0': ['PC101'],
    '127.0.0.1': ['PC101'],
    ':: ipv6Only': ['PC102'],
    '::1': ['PC105'],
  },
}

describe('with reusePort on both sides', () => {
  beforeEach(({ skip }) => {
    skip(!supportsReusePort(), 'this Node does not support reusePort')
    skip(!hasForeignSockets, 'needs python3 for the holder')
  })

  for (const holder of names(HOLDERS)) {
    for (const [want, codes] of Object.entries(SHARED[holder])) {
      it(`${want} beside ${holder} has warning ${codes.join(' and ')}`, async () => {
        await using foreign = await foreignSocket({ ...HOLDERS[holder], reusePort: true })
        const parts = { ...WANTS[want as WantName], port: foreign.port, reusePort: true }
        const { bind, warnings } = await probe(parts)
        expect(bind).toBe('free')
        expect(warnings.map((one) => one.code).toSorted()).toEqual(codes)
      })
    }
  }

  it('is in use beside a holder of another user', async (context) => {
    if (process.getuid?.() !== 0) context.skip('needs root to become another user')
    await using foreign = await foreignSocket({ host: '127.0.0.1', reusePort: true, uid: 65_534 })
    const report = await probe({ host: '127.0.0.1', port: foreign.port, reusePort: true })
    expect(report.bind).toBe('busy')
  })
})

describe('reusePort on a Node that does not support it', () => {
  it('has warning PC152', async ({ skip }) => {
    skip(supportsReusePort(), 'this Node does reusePort')
    const { bind, warnings } = await probe({ host: '127.0.0.1', port: 0, reusePort: true })
    expect([bind, warnings.map((one) => one.code)]).toEqual(['free', ['PC152']])
  })
})

async function whoAnswers(host: string, port: number): Promise<string> {
  return await text(connect({ host, port }))
}
