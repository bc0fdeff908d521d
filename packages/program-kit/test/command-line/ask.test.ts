import { PassThrough } from 'node:stream'

import { expect, test } from 'vitest'

import { ask, readInput, UserError } from '../../src/index.ts'
import { Capture } from '../capture.ts'

/** A question at a terminal whose user types this. */
async function asked(typed: string, isSecret: boolean) {
  const input = new PassThrough()
  const output = new Capture(80)
  const signal = new AbortController().signal
  const answer = ask('Name: ', { input, output, signal, isSecret })
  input.write(typed)
  return { answer: await answer, shown: output.text }
}

test('an answer is shown while it is typed', async () => {
  const { answer, shown } = await asked(' web \r', false)
  expect(answer).toBe('web')
  expect(shown).toContain('Name: ')
  expect(shown).toContain('web')
})

test('a secret is never shown', async () => {
  const { answer, shown } = await asked('hidden\u007F\u007Fn\r', true)
  expect(answer).toBe('hiddn')
  expect(shown).toBe('Name: \n')
})

test.each([
  ['Ctrl-C', 'ab\u0003'],
  ['Ctrl-D', '\u0004'],
])('%s is no answer', async (_, typed) => {
  expect((await asked(typed, true)).answer).toBeUndefined()
})

test('the signal ends a question', async () => {
  const stop = new AbortController()
  const output = new Capture(80)
  const answer = ask('Name: ', { input: new PassThrough(), output, signal: stop.signal })
  stop.abort()
  expect(await answer).toBeUndefined()
  expect(await ask('', { input: new PassThrough(), output, signal: stop.signal })).toBeUndefined()
})

test('the signal ends the wait for piped input', async () => {
  const stop = new AbortController()
  const input = new PassThrough()
  input.write('half')
  const read = readInput(input, { signal: stop.signal })
  stop.abort()
  await expect(read).rejects.toMatchObject({ cause: stop.signal.reason })
})

test('piped input is read without its line break, and bounded', async () => {
  const { signal } = new AbortController()
  const input = new PassThrough()
  input.end('a token\n')
  expect(await readInput(input, { signal })).toBe('a token')
  const long = new PassThrough()
  long.end(Buffer.alloc(65 * 1024))
  await expect(readInput(long, { signal })).rejects.toThrow(UserError)
})
