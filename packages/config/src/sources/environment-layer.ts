import type { Environment } from './expand-variables.ts'
import { givenTwice, type Layer, type LayerValue } from './layer.ts'
import { nearest } from './nearest.ts'
import type { Problem } from './problem.ts'
import type { RawScalar } from './raw-node.ts'
import { isSecret, type SettingEntry } from '../definition/setting-entry.ts'

/**
 * Takes the variables of settings out of an environment. An empty variable counts as not given:
 * container files pass on variables that were never set that way.
 *
 * @param prefix - variables that begin with it and look like a misspelt setting are warned of;
 *   undefined warns of none
 * @param baseDir - directory that relative paths start from
 */
export function environmentLayer(
  entries: readonly SettingEntry[],
  env: Environment,
  prefix: string | undefined,
  baseDir: string,
): Layer {
  const values = new Map<string, LayerValue>()
  const problems: Problem[] = []
  const known = new Set<string>()
  for (const { key, variable, node } of entries) {
    if (variable === undefined || node.kind !== 'setting') continue
    for (const name of isSecret(node) ? [variable, `${variable}_FILE`] : [variable]) {
      known.add(name)
      const text = Object.hasOwn(env, name) ? env[name] : undefined
      if (text === undefined || text === '') continue
      const scalar: RawScalar = { kind: 'scalar', text, origin: { kind: 'environment', name } }
      if (values.has(key)) problems.push(givenTwice(key, scalar))
      else values.set(key, { node: scalar, isPath: name !== variable, baseDir })
    }
  }
  for (const name of Object.keys(env)) {
    if (prefix === undefined || !name.startsWith(`${prefix}_`) || known.has(name)) continue
    // Orchestrators set variables of this form for services of that name, so only near misses count.
    const meant = nearest(name, known)
    if (meant === undefined) continue
    problems.push({
      code: 'CONFIG_ENVIRONMENT_UNKNOWN',
      severity: 'warning',
      origin: { kind: 'environment', name },
      message: 'no setting reads this variable',
      hint: `did you mean ${meant}?`,
    })
  }
  return { values, problems }
}
