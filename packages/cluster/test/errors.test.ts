import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CLUSTER_ERRORS, ClusterError, isClusterError } from '../src/errors.ts'
import { CLUSTER_LIMITS, resolveMembershipOptions } from '../src/options.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

describe('options', () => {
  it('are in the README with their default and range', () => {
    for (const [name, { default: byDefault, min, max }] of Object.entries(CLUSTER_LIMITS)) {
      const row = README.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? ''
      const cells = row.split('|').map((cell) => cell.trim().replaceAll(' ', ''))
      expect(cells.slice(1, 4)).toEqual([`\`${name}\``, `${byDefault}`, `${min}to${max}`])
    }
  })

  it.each(Object.entries(CLUSTER_LIMITS))(
    '%s is taken within its range only',
    (name, { min, max }) => {
      const resolved = (value: number) => resolveMembershipOptions({ [name]: value })
      for (const value of [min, max]) expect(resolved(value)).toHaveProperty(name, value)
      for (const value of [min - 1, max + 1, 0.5, NaN]) {
        expect(() => resolved(value)).toThrow(expect.objectContaining({ option: name }))
      }
    },
  )

  it('with a name that does not exist are refused', () => {
    expect(() => resolveMembershipOptions(JSON.parse('{"leaseMS":5}'))).toThrow('leaseMS')
  })
})

describe('ClusterError', () => {
  it('has a code, the option and whether to try again', () => {
    const error = new ClusterError('CLUSTER_OPTION_INVALID', 'not 1 to 5', { option: 'leaseMs' })
    expect(error.message).toBe('an option has a value out of its range: leaseMs: not 1 to 5')
    expect([error.option, error.retryable, isClusterError(error)]).toEqual(['leaseMs', false, true])
    expect(isClusterError(error, 'CLUSTER_CLOSED')).toBe(false)
    expect(isClusterError(new Error('x'))).toBe(false)
  })

  it('says which calls may succeed later', () => {
    const codes = Object.entries(CLUSTER_ERRORS).map(([code, { retryable }]) => [code, retryable])
    expect(Object.fromEntries(codes)).toEqual({
      CLUSTER_CLOSED: false,
      CLUSTER_DATABASE_BUSY: true,
      CLUSTER_DATABASE_FAILED: true,
      CLUSTER_DATABASE_READ_ONLY: true,
      CLUSTER_DATABASE_REFUSED: true,
      CLUSTER_DATABASE_TOO_OLD: false,
      CLUSTER_DATABASE_UNREACHABLE: true,
      CLUSTER_NODE_ID_TAKEN: true,
      CLUSTER_NODE_REPLACED: false,
      CLUSTER_OPTION_INVALID: false,
      CLUSTER_ROUTE_INVALID: false,
      CLUSTER_ROW_INVALID: true,
      CLUSTER_SCHEMA_NEWER: false,
    })
  })

  it('is in the README with the texts of the code', () => {
    for (const [code, { what, retryable, hint }] of Object.entries(CLUSTER_ERRORS)) {
      const row = README.split('\n').find((line) => line.startsWith(`| \`${code}\``)) ?? ''
      const cells = row.split('|').map((cell) => cell.trim())
      expect(cells.slice(1, 5)).toEqual([`\`${code}\``, what, retryable ? 'yes' : 'no', hint])
    }
  })
})
