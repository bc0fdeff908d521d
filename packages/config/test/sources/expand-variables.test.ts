import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { isConfigError } from '../../src/index.ts'
import { expandVariables } from '../../src/sources/expand-variables.ts'

const env = { NAME: 'web', EMPTY: '', DOLLAR: '$NAME ${NAME}', UNSET: undefined }

test.each([
  ['', ''],
  ['plain', 'plain'],
  ['${NAME}', 'web'],
  ['a-${NAME}-${NAME}.b', 'a-web-web.b'],
  ['${EMPTY}', ''],
  ['${EMPTY:-x}', 'x'],
  ['${UNSET:-x y:-z}', 'x y:-z'],
  ['${UNSET:-}', ''],
  ['${NAME:-x}', 'web'],
  ['$$', '$'],
  ['$${NAME}', '${NAME}'],
  ['$$$$', '$$'],
  ['pa$word', 'pa$word'],
  ['$NAME', '$NAME'],
  ['cost: 5$', 'cost: 5$'],
  ['${DOLLAR}', '$NAME ${NAME}'],
])('expands %j to %j', (text, expanded) => {
  expect(expandVariables(text, env)).toBe(expanded)
})

test.each([
  ['hunter2${UNSET}', 'CONFIG_VARIABLE_UNSET', 'the variable UNSET is not set'],
  ['hunter2${toString}', 'CONFIG_VARIABLE_UNSET', 'the variable toString is not set'],
  ['hunter2${', 'CONFIG_VARIABLE_SYNTAX', 'a ${ has no closing brace'],
  ['hunter2${NAME', 'CONFIG_VARIABLE_SYNTAX', 'a ${ has no closing brace'],
  ['hunter2${}', 'CONFIG_VARIABLE_SYNTAX', 'a ${} holds no valid name'],
  ['hunter2${1A}', 'CONFIG_VARIABLE_SYNTAX', 'a ${} holds no valid name'],
  ['hunter2${A-B}', 'CONFIG_VARIABLE_SYNTAX', 'a ${} holds no valid name'],
  ['hunter2${NAME:x}', 'CONFIG_VARIABLE_SYNTAX', 'a default follows :- and not : alone'],
])('refuses %j without repeating it', (text, code, message) => {
  expect(() => expandVariables(text, env)).toThrow(expect.objectContaining({ code, message }))
})

test('any text is expanded or refused with a ConfigError, and doubling dollars keeps it', () => {
  const texts = fc.string({ unit: fc.constantFrom('$', '{', '}', ':', '-', 'A', 'b', '1', ' ') })
  fc.assert(
    fc.property(texts, (text) => {
      expect(expandVariables(text.replaceAll('$', '$$$$'), {})).toBe(text)
      const outcome = attempt(() => expandVariables(text, { A: 'x', b: '' }))
      expect(typeof outcome === 'string' || isConfigError(outcome)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

function attempt(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}
