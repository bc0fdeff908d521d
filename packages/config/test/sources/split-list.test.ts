import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { defineSettings, list, loadSettings, setting, text } from '../../src/index.ts'
import { joinList, splitList } from '../../src/sources/split-list.ts'

describe('splitList', () => {
  it.each([
    ['', []],
    ['  ', []],
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    [' a , b ', ['a', 'b']],
    ['a,', ['a', '']],
    [',', ['', '']],
    ['"b,c"', ['b,c']],
    ['a,"b,c"', ['a', 'b,c']],
    ['"b,c" , a', ['b,c', 'a']],
    ['"say ""hi"", then",x', ['say "hi", then', 'x']],
    ['""', ['']],
    ['a"b,c"d', ['a"b', 'c"d']],
    ['["a","b,c"]', ['a', 'b,c']],
    [' [ "a" , 5, true ] ', ['a', '5', 'true']],
    ['[]', []],
    ['[::1]:8080,[fe80::1%eth0]:80', ['[::1]:8080', '[fe80::1%eth0]:80']],
    ['[::]', ['[::]']],
  ])('reads %j', (given, elements) => {
    expect(splitList(given)).toEqual({ elements })
  })

  it.each([
    ['["a","b', 'must be a JSON array'],
    ['["a"],b', 'must be a JSON array'],
    ['["a",]', 'must be a JSON array'],
    ['[{"a":1}]', 'element 1 of the JSON array is not a single value'],
    ['["a",null]', 'element 2 of the JSON array is not a single value'],
    ['[["a"]]', 'element 1 of the JSON array is not a single value'],
    ['a,"b', 'a quote is not closed'],
    ['"a"b', 'text follows a closed quote'],
    ['"a" "b"', 'text follows a closed quote'],
  ])('refuses %j', (given, failure) => {
    const split = splitList(given)
    expect('failure' in split && split.failure).toContain(failure)
    expect('hint' in split && split.hint).toBeTruthy()
  })

  it('reads what joinList writes', () => {
    const element = fc.oneof(fc.string(), fc.constantFrom('a,b', '"', '["x"]', ' a ', '', '[::1]'))
    fc.assert(
      fc.property(fc.array(element, { minLength: 1 }), (elements) => {
        expect(splitList(joinList(elements))).toEqual({ elements })
      }),
    )
  })
})

describe('a list in a variable', () => {
  const settings = defineSettings({
    envPrefix: 'APP',
    tree: { origins: setting(list(text()), { default: 'x,"y,z"', description: 'Origins.' }) },
  })
  const load = (value?: string) =>
    loadSettings(settings, { cwd: '/', env: value === undefined ? {} : { APP_ORIGINS: value } })

  it.each([
    ['["a","b,c"]', ['a', 'b,c']],
    ['a,"b,c"', ['a', 'b,c']],
    [undefined, ['x', 'y,z']],
  ])(
    '%j has the elements %j, and is shown so that it can be written again',
    async (value, wanted) => {
      const loaded = await load(value)
      expect(loaded.ok && loaded.settings.origins).toEqual(wanted)
      const again = await load(loaded.values[0]?.text)
      expect(again.ok && again.settings.origins).toEqual(wanted)
    },
  )

  it('is an error with a hint in any other form', async () => {
    const loaded = await load('["a","b')
    expect(loaded.ok).toBe(false)
    expect(loaded.problems).toMatchObject([
      {
        code: 'CONFIG_VALUE_INVALID',
        key: 'origins',
        origin: { kind: 'environment', name: 'APP_ORIGINS' },
        hint: expect.stringContaining('["a","b,c"]'),
      },
    ])
  })
})
