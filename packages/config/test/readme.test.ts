import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'

import { expect, test } from 'vitest'

import { parseListenAddress } from '../src/address.ts'
import { CONFIG_ADVICE } from '../src/error-advice.ts'
import * as config from '../src/index.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

test('the example runs', async () => {
  const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(README) ?? []
  const printed: unknown[] = []
  const console = { log: (value: unknown) => printed.push(value) }
  const code = example.replace(/import .* from '@proj\/config'/, '')
  await runInNewContext(`(async () => {${code}})()`, { c: config, console })
  expect(printed).toEqual(['', 5000])
})

test('the table of errors says what the code says', () => {
  const rows = [...README.matchAll(/^\| `(CONFIG_\w+)` *\| (.*?) *\| (.*?) *\|$/gm)]
  expect(Object.fromEntries(rows.map(([, code, meaning]) => [code, meaning]))).toEqual(
    config.CONFIG_ERRORS,
  )
  expect(Object.fromEntries(rows.map(([, code, , advice]) => [code, advice]))).toEqual(
    CONFIG_ADVICE,
  )
})

test.each(['8080', '*:8080', '0.0.0.0:8080', '[::]:8080', 'localhost:8080', '[fe80::1%eth0]:8080'])(
  'the table of addresses has %s',
  (address) => {
    expect(README).toContain(`\`${address}\``)
    expect(() => parseListenAddress(address)).not.toThrow()
  },
)
