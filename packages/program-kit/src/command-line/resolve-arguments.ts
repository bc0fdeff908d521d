import type { Problem } from '@proj/config'
import { type RawNode, quote, resolveSettings } from '@proj/config/layers'

import type { Argument } from './command.ts'

/**
 * Reads the words of a command line as the arguments of a command.
 *
 * @param baseDir - absolute directory that relative paths start from
 */
export function resolveArguments(
  args: Readonly<Record<string, Argument<unknown>>>,
  given: readonly string[],
  baseDir: string,
): { values: object; problems: readonly Problem[] } {
  const values: Record<string, unknown> = {}
  const problems: Problem[] = []
  let used = 0
  for (const [name, { type, options }] of Object.entries(args)) {
    const words = type.kind === 'list' ? given.slice(used) : given.slice(used, used + 1)
    used += words.length
    const origin = { kind: 'argument', name } as const
    if (words.length === 0) {
      if (options.optional) continue
      const message = `the argument ${name} is missing: ${options.description}`
      problems.push({ code: 'CONFIG_ARGUMENT_MISSING', severity: 'error', message })
      continue
    }
    const node = { kind: 'setting', type, options: { description: '' } } as const
    const entry = { key: name, properties: [name], flag: undefined, variable: undefined, node }
    const items = words.map((text) => ({ kind: 'scalar', text, origin }) as const)
    const [first] = items
    const raw: RawNode = type.kind === 'list' || !first ? { kind: 'list', items, origin } : first
    const value = { node: raw, isPath: false, baseDir }
    const resolution = resolveSettings(
      [entry],
      [{ values: new Map([[name, value]]), problems: [] }],
      { baseDir, secrets: new Map() },
    )
    for (const { key: _key, ...problem } of resolution.problems) problems.push(problem)
    if (resolution.problems.length === 0) Object.assign(values, resolution.settings)
  }
  for (const word of given.slice(used)) {
    const message = `unexpected argument ${quote(word)}`
    problems.push({ code: 'CONFIG_ARGUMENT_UNEXPECTED', severity: 'error', message })
  }
  return { values, problems }
}
