import type { Environment } from './expand-variables.ts'
import { givenTwice, type Layer, type LayerValue } from './layer.ts'
import { nearest } from './nearest.ts'
import type { Origin } from './origin.ts'
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
 * @param fileOf - the file that a variable was read from; undefined for one of the process
 */
export function environmentLayer(
  entries: readonly SettingEntry[],
  env: Environment,
  prefix: string | undefined,
  baseDir: string,
  fileOf: (name: string) => string | undefined = () => undefined,
): Layer {
  const originOf = (name: string): Origin => {
    const file = fileOf(name)
    return { kind: 'environment', name, ...(file !== undefined && { file }) }
  }
  const values = new Map<string, LayerValue>()
  const problems: Problem[] = []
  const known = new Set<string>()
  for (const { key, variable, node } of entries) {
    if (variable === undefined) continue
    const hasFile = node.kind === 'setting' && isSecret(node)
    for (const name of hasFile ? [variable, `${variable}_FILE`] : [variable]) {
      known.add(name)
      const text = Object.hasOwn(env, name) ? env[name] : undefined
      if (text === undefined || text === '') continue
      const scalar: RawScalar = { kind: 'scalar', text, origin: originOf(name) }
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
      origin: originOf(name),
      message: 'no setting reads this variable',
      hint: `did you mean ${meant}?`,
    })
  }
  return { values, problems }
}
