import { loadSettings } from '@proj/config'
import { expect, test } from 'vitest'

import { formatValues } from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'

test('values are listed with origins', async () => {
  const { values } = await loadSettings(settings, {
    cwd: '/',
    env: { ADIT_CONNECT_TOKEN: 'hunter2' },
  })
  expect(formatValues(values, { origins: true })).toMatchSnapshot()
  expect(formatValues(values)).toContain('connect.token                     [secret]\n')
})
