import { expect, test } from 'vitest'

import { argumentsOf } from '../../src/commands/arguments.ts'
import { madeUpName } from '../../src/commands/made-up-name.ts'

const flags = {
  exclusive: false,
  listing: false,
  insecureService: false,
} as Parameters<typeof argumentsOf>[0]['flags']

const http = (args: { readonly endpoint: string; readonly address?: string }, attempt = 0) => {
  const command = { name: 'http', args, flags } as Parameters<typeof argumentsOf>[0]
  const { listeners } = argumentsOf(command, { folder: '/home/ann/site', attempt })
  return (listeners as readonly { readonly endpoint: string; readonly addr: string }[])[0]
}

test('two words and digits, the same for the same place, another one for another', () => {
  const names = [
    madeUpName(['machine', '/home/ann/site', '3000']),
    madeUpName(['machine', '/home/ann/site', '3001']),
    madeUpName(['machine', '/home/bob/site', '3000']),
    madeUpName(['machine', '/home/ann/site', '3000'], 1),
    madeUpName(['other', '/home/ann/site', '3000']),
  ]
  for (const name of names) expect(name).toMatch(/^[a-z]+-[a-z]+-\d{4}$/)
  expect(new Set(names).size).toBe(5)
  expect(madeUpName(['machine', '/home/ann/site', '3000'])).toBe(names[0])
})

test('the parts of a place are not run together', () => {
  expect(madeUpName(['ab', 'c'])).not.toBe(madeUpName(['a', 'bc']))
})

test('adit http with one argument: it is the address, and the name is made up', () => {
  const made = http({ endpoint: '3000' })
  expect(made).toMatchObject({ addr: '3000', endpoint: expect.stringMatching(/^\w+-\w+-\d{4}$/) })
  expect(http({ endpoint: '3000' })).toEqual(made)
  expect(http({ endpoint: '3000' }, 1)?.endpoint).not.toBe(made?.endpoint)
  expect(http({ endpoint: 'web', address: '3000' })).toMatchObject({
    endpoint: 'web',
    addr: '3000',
  })
})
