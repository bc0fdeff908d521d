import { expect, test } from 'vitest'

import { describeAudit, formatAudit } from '../../src/commands/audit-view.ts'

const AT = Date.UTC(2026, 0, 2, 3, 4, 5)

test('events are shown one a line, with their details', () => {
  const taken = { endpoint: 'web', tenant: '', identity: 'token:k3v9m2ab', remoteAddress: '::1' }
  const shown = formatAudit([
    { number: 1, at: AT, event: 'name.taken', fields: taken },
    { number: 1, at: AT + 1000, event: 'audit.dropped', fields: { count: 3 } },
  ])
  expect(shown).toBe(
    `2026-01-02T03:04:05Z  name.taken     endpoint=web identity=token:k3v9m2ab remoteAddress=::1
2026-01-02T03:04:06Z  audit.dropped  count=3
`,
  )
  expect(formatAudit([])).toBe('no events\n')
})

test('what a stranger chose cannot command the terminal', () => {
  const endpoint = '\u001b[2J\u009b31m\u2028x\n2026 name.taken'
  const shown = formatAudit([{ number: 1, at: AT, event: 'name.refused', fields: { endpoint } }])
  expect(shown).toContain(String.raw`endpoint="\u001b[2J\u009b31m\u2028x\n2026 name.taken"`)
  expect(shown.split('\n')).toHaveLength(2)
})

test('--json has the time first and the details beside it', () => {
  const record = { number: 1, at: AT, event: 'name.lost', fields: { endpoint: 'web' } }
  expect(describeAudit(record)).toEqual({
    time: '2026-01-02T03:04:05.000Z',
    event: 'name.lost',
    endpoint: 'web',
  })
})
