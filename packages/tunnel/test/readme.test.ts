import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { runInThisContext } from 'node:vm'

import { until } from '@proj/testkit/until'
import { describe, expect, test } from 'vitest'

import { TUNNEL_ERRORS } from '../src/errors.ts'
import { dial, explainReset, listen, TUNNEL_LIMITS } from '../src/index.ts'
import { tablesBelow } from './protocol/markdown.ts'
import { startServer } from './peers.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

describe('the README', () => {
  test('lists every error as the code has it', () => {
    const rows = Object.entries(TUNNEL_ERRORS).map(([code, { what, retryable, hint }]) => [
      `\`${code}\``,
      what,
      retryable ? 'yes' : 'no',
      hint,
    ])
    expect(tablesBelow(README, 'Errors')[0]).toEqual(rows)
  })

  test('lists every number that can be set, with its default and range', () => {
    const rows = Object.entries(TUNNEL_LIMITS).map(([name, { default: usual, min, max }]) => [
      `\`${name}\``,
      String(usual),
      `${min} to ${max}`,
    ])
    const listed = tablesBelow(README, 'Options')[0]?.map(([name, , usual, range]) => [
      name,
      usual,
      range,
    ])
    expect(new Set(listed)).toEqual(new Set(rows))
  })

  test('has an example that runs', async () => {
    const server = await startServer()
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(README) ?? []
    const body = example
      .replaceAll(/^import .*\n/gm, '')
      .replaceAll(/http:\/\/localhost:800[01]/g, server.url)
    const printed: string[] = []
    const names = { dial, explainReset, listen, createServer }
    const globals = {
      ...names,
      console: {
        log: (text: string) => printed.push(text),
        error: (text: string) => printed.push(text),
      },
    }
    const run = runInThisContext(`(async ({ ${Object.keys(globals).join()} }) => {${body}})`) as (
      values: typeof globals,
    ) => Promise<void>
    await run(globals)
    await until(() => server.registry.snapshot().size === 0 && server.upstream.sessions.size === 0)
    expect(printed.join('')).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*hello from \/there/)
  })
})
