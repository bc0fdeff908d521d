import { spawnSync } from 'node:child_process'

import { defineSettings, setting, text } from '@proj/config'
import { describe, expect, test } from 'vitest'

import { type CommandsInfo, defineCommands, formatManual } from '../../src/index.ts'
import { commands } from '../fixtures/sample.ts'

const OPTIONS = {
  software: 'adit/1.2.3',
  file: 'adit.yaml',
  places: ['~/.config/adit/adit.yaml', '/etc/adit/adit.yaml'],
}

// every sign that roff takes for something else, at the start of a line and inside
const HARD = `.SH "x" 'it's' \\fB -- \`a\` ^~ ünï €\n.br 'x`

const hard: CommandsInfo = defineCommands({
  program: 'adit',
  description: HARD,
  settings: defineSettings({
    envPrefix: 'ADIT',
    groups: { group: HARD },
    tree: { group: { one: setting(text(), { default: HARD, description: HARD }) } },
  }),
  globals: {},
  commands: { 'do it': { description: HARD, examples: [HARD] } },
  examples: [HARD],
})

describe('manual page', () => {
  test.each(['1', '5'] as const)('of section %s', (section) => {
    expect(formatManual(commands, section, OPTIONS)).toMatchSnapshot()
  })

  test('no text becomes a request or an escape', () => {
    for (const section of ['1', '5'] as const) {
      const page = formatManual(hard, section, OPTIONS)
      const requests = page.split('\n').filter((line) => /^[.']/.test(line))
      const known = /^\.(?:TH|SH|SS|TP|P|br|nh|ad l|nf|fi|RS 4|RE)(?:$| ")/
      expect(requests.filter((line) => !known.test(line))).toEqual([])
      expect(page).toContain(
        `\\&.SH \\(dqx\\(dq \\(aqit\\(aqs\\(aq \\(rsfB \\-\\- \\(gaa\\(ga \\(ha\\(ti \\[u00FC]n\\[u00EF] \\[u20AC] .br \\(aqx`,
      )
    }
  })

  test('groff reads it without a warning, and prints what was written', ({ skip }) => {
    skip(!hasGroff(), 'groff (groff-base) is not installed')
    const printed = [commands, hard].flatMap((program) =>
      (['1', '5'] as const).map((section) => {
        const input = formatManual(program, section, OPTIONS)
        const flags = ['-man', '-Tutf8', '-ww', '-P-cbou']
        const { status, stdout, stderr } = spawnSync('groff', flags, { input, encoding: 'utf8' })
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
        return stdout.replaceAll(/\s+/g, ' ')
      }),
    )
    expect(printed[2]).toContain(HARD.replaceAll(/\s+/g, ' '))
    expect(printed[3]).toContain(HARD.replaceAll(/\s+/g, ' '))
  })
})

/** Debian: groff-base. */
function hasGroff(): boolean {
  return spawnSync('groff', ['--version']).status === 0
}
