import { expect, test } from 'vitest'

import { errorForm, type ErrorForm } from '../src/index.ts'

test.each<[accept: string | undefined, form: ErrorForm, destination?: string]>([
  [undefined, 'any'],
  ['', 'any'],
  ['*/*', 'any'],
  ['text/*', 'any'],
  ['image/avif,image/webp,*/*;q=0.8', 'any'],
  ['text/html', 'html'],
  ['TEXT/HTML ; Q=0.1', 'html'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'html'],
  ['application/json, text/html;q=0.1', 'html'],
  ['text/html;q=0', 'any'],
  ['text/html;q=0.000, text/plain', 'text'],
  ['text/html;q=2', 'any'],
  ['text/html;q=x, application/json', 'json'],
  ['text/html;level=1;q=0.4', 'html'],
  ['text/htmlx', 'any'],
  ['application/json', 'json'],
  ['application/json;q=0', 'any'],
  ['text/plain', 'text'],
  ['text/plain;q=0.5, application/json;q=0.5', 'json'],
  ['text/plain;q=0.6, application/json;q=0.5', 'text'],
  ['text/html', 'html', 'document'],
  ['text/html', 'html', 'iframe'],
  ['text/html', 'any', 'empty'],
  ['text/html, application/json', 'json', 'empty'],
  ['text/html', 'any', 'image'],
])('Accept: %s asks for %s', (accept, form, destination) => {
  const headers = accept === undefined ? [] : ['Accept', accept]
  if (destination !== undefined) headers.push('Sec-Fetch-Dest', destination)
  expect(errorForm(headers)).toBe(form)
})

test('reads all Accept headers, and no other one', () => {
  expect(errorForm(['accept', 'image/png', 'X-Accept', 'text/html', 'ACCEPT', 'text/plain'])).toBe(
    'text',
  )
})

test('reads the beginning of a long Accept', () => {
  const long = 'a,'.repeat(16_000)
  expect(errorForm(['Accept', `text/html,${long}`])).toBe('html')
  expect(errorForm(['Accept', `${long}text/html`])).toBe('any')
  expect(errorForm(['Accept', long, 'Accept', 'text/html'])).toBe('any')
})
