import { expect, test } from 'vitest'

import { bindNotes, formatBindNotes, movedBinds } from '../../src/index.ts'

const note = (code: string, endpoint: string, text = 'what happens') => ({
  code,
  endpoint,
  text,
  hint: 'what to do',
})

test('what the bind and the connection both say is said once', async () => {
  const split = note('PC101', '[::1]:80')
  const bound = [
    { want: '127.0.0.1:80', port: 80, warnings: [split] },
    { want: '127.0.0.1:81', port: 81, warnings: [note('PC101', '[::1]:81')] },
  ]
  const stray = note('PC120', '127.0.0.1:80')
  const verify = async () => ({ warnings: [note('PC101', '[::1]:80', 'in other words'), stray] })
  expect(await bindNotes({ bound, verify })).toEqual([split, note('PC101', '[::1]:81'), stray])
})

test('a note is a line with its code and a line with what to do', () => {
  expect(formatBindNotes([note('PC101', '[::1]:80')])).toBe(
    'warning: what happens (PC101)\n  what to do\n',
  )
  expect(formatBindNotes([])).toBe('')
})

test('an address that got another port has moved, one that asked for any port has not', () => {
  const at = (want: string, port: number) => ({ want, port, warnings: [] })
  expect(
    movedBinds({ bound: [at(':8000', 8003), at(':8001', 8001), at('[::1]:0', 4711)] }),
  ).toEqual([{ wanted: ':8000', port: 8003 }])
})
