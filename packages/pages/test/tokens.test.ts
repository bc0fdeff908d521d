// The contrasts of the colours, computed from the style sheet (WCAG 2.2, 1.4.3 and 1.4.11).
import { readFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

const css = readFileSync(new URL('../src/design/tokens.css', import.meta.url), 'utf8')
const [light = '', dark = ''] = css.split('@media')

function colours(part: string): Map<string, string> {
  return new Map(
    [...part.matchAll(/--([\w-]+): (#[\da-f]{6});/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  )
}

const first = colours(light)
const themes = [
  ['light', first],
  ['dark', new Map([...first, ...colours(dark)])],
] as const

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(one: string, other: string): number {
  const [high = 0, low = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a)
  return (high + 0.05) / (low + 0.05)
}

const GROUNDS = ['bg', 'raised', 'sunken', 'sel']

describe.each(themes)('%s', (_, tokens) => {
  const of = (name: string): string => tokens.get(name) ?? `no ${name}`

  test.each(['text', 'muted', 'faint', 'accent', 'ok', 'warn', 'bad', 'key'])(
    'text in %s can be read on every ground',
    (name) => {
      const least = Math.min(...GROUNDS.map((ground) => contrast(of(name), of(ground))))
      expect(least).toBeGreaterThanOrEqual(4.5)
    },
  )

  test.each([
    ['text', 'ok-bg'],
    ['text', 'warn-bg'],
    ['text', 'bad-bg'],
    ['ok', 'ok-bg'],
    ['warn', 'warn-bg'],
    ['bad', 'bad-bg'],
    ['on-accent', 'accent'],
  ])('%s on %s can be read', (name, ground) => {
    expect(contrast(of(name), of(ground))).toBeGreaterThanOrEqual(4.5)
  })

  test.each(['edge', 'focus', 'bar-tunnel', 'bar-waiting', 'bar-body'])(
    '%s can be seen',
    (name) => {
      const least = Math.min(...GROUNDS.map((ground) => contrast(of(name), of(ground))))
      expect(least).toBeGreaterThanOrEqual(3)
    },
  )
})

test('no colour stands anywhere else', () => {
  for (const file of ['../src/design/base.css', '../src/inspector/inspector.css']) {
    const text = readFileSync(new URL(file, import.meta.url), 'utf8')
    expect(text).not.toMatch(/#[\da-f]{3,8}\b|\b(?:rgb|hsl|oklch)\(/i)
  }
})
