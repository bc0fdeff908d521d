import { describe, expect, test } from 'vitest'

import { formatHelp } from '../../src/index.ts'
import { commands } from '../fixtures/sample.ts'

describe('help', () => {
  test.each([undefined, 'http', 'access', 'config', 'run', 'nonsense'])('of %s', (topic) => {
    expect(formatHelp(commands, { topic })).toMatchSnapshot()
  })

  test('shows the flags of all settings only when asked', () => {
    const short = formatHelp(commands, { topic: 'http' })
    expect(short).toContain('  --url, --connect.url <url>\n')
    expect(short).toContain('  --token-file, --connect.token-file <path>\n')
    expect(short).toContain('  --connect.* (7)\n        How the server is reached.\n')
    expect(short).not.toContain('--connect.timeout')
    expect(short).toMatch(/--help --all\n$/)
    const all = formatHelp(commands, { topic: 'http', all: true })
    expect(all).toContain('--connect.timeout')
    expect(all).not.toContain('--help --all')
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
