import { describe, expect, test } from 'vitest'

import { formatHelp } from '../../src/index.ts'
import { commands } from '../fixtures/sample.ts'

describe('help', () => {
  test.each([undefined, 'http', 'access', 'config', 'run', 'nonsense'])('of %s', (topic) => {
    expect(formatHelp(commands, { topic })).toMatchSnapshot()
  })

  test.each([0, 40, 60, 100, 500])('keeps to %d columns, between 40 and 100', (columns) => {
    const text = formatHelp(commands, { topic: 'http', columns })
    const widest = Math.max(
      ...text
        .split('\n')
        .filter((line) => line.includes(' (') || line.startsWith('        '))
        .map((line) => line.length),
    )
    // One word can be longer than the line is wide.
    expect(widest).toBeLessThanOrEqual(Math.min(Math.max(columns, 60), 100))
  })
})
