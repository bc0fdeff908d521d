import { readFileSync } from 'node:fs'

import { systemdUnit } from '@proj/program-kit'
import { expect, test } from 'vitest'

import { SERVICE } from '../src/program.ts'

const EXAMPLE = new URL('../../../examples/systemd/adit.service', import.meta.url)

test('`adit service install` writes the unit of examples/systemd', () => {
  const unit = systemdUnit(SERVICE, {
    command: ['/usr/bin/env', 'adit'],
    configFile: '/etc/adit/adit.yaml',
  })
  // the first line says where the text is from
  const body = (text: string) => text.slice(text.indexOf('\n') + 1)
  expect(body(unit)).toBe(body(readFileSync(EXAMPLE, 'utf8')))
})
