import { entriesOf, isSecret, type SettingEntry } from './setting-entry.ts'
import type { Resolved, SettingsTree } from './settings-tree.ts'

/** A broken cross-field rule: which key, and what is wrong. */
export interface RuleProblem {
  /** Key path of the value to change, such as `listeners[1].endpoint`. */
  readonly key: string
  /** A code of the program's own. @default CONFIG_RULE_BROKEN */
  readonly code?: string
  /** What does not fit together. */
  readonly message: string
  /** What to do about it. */
  readonly hint?: string
  /** A warning does not refuse the configuration. @default error */
  readonly severity?: 'error' | 'warning'
}

/**
 * Looks at resolved settings and yields what does not fit together. Reading a value that is itself
 * wrong ends the rule quietly; it then runs once more without the elements of lists that are wrong.
 * What was yielded counts, so write one small rule per idea.
 */
export type Rule<Tree> = (settings: Resolved<Tree>) => Iterable<RuleProblem>

/** What {@link defineSettings} takes. */
export interface SettingsDefinition<Tree extends SettingsTree> {
  /** Start of every environment variable, such as `ADIT`. */
  readonly envPrefix: string
  /** The settings by camelCase name, in groups. */
  readonly tree: Tree
  /** One sentence per group, by key, for help and reference page. */
  readonly groups?: Readonly<Record<string, string>>
  /** Rules across several settings. */
  readonly rules?: readonly Rule<Tree>[]
}

/** What printing and parsing need to know of settings, whatever their values are. */
export interface SettingsInfo {
  /** Start of every environment variable, such as `ADIT`. */
  readonly envPrefix: string
  /** One sentence per group, by key. */
  readonly groups: Readonly<Record<string, string>>
  /** Every setting and list of objects, in order of definition. */
  readonly entries: readonly SettingEntry[]
}

/** Settings ready for loading and printing; made by {@link defineSettings}. */
export interface Settings<Tree extends SettingsTree> extends SettingsInfo {
  /** The settings by camelCase name. */
  readonly tree: Tree
  /** Rules across several settings. */
  readonly rules: readonly Rule<Tree>[]
}

/**
 * Names every setting of a tree and checks the definition.
 *
 * @throws {TypeError} when two settings get one name, a default is refused by its own type, or the
 *   property of a duration or size does not end with its unit (`Ms`, `Bytes`)
 */
export function defineSettings<Tree extends SettingsTree>(
  definition: SettingsDefinition<Tree>,
): Settings<Tree> {
  const { envPrefix, tree, groups = {}, rules = [] } = definition
  const entries = entriesOf(tree, envPrefix)
  const seen = new Map<string, string>()
  for (const { key, variable, node } of entries) {
    const names = [key, ...(variable === undefined ? [] : [variable])]
    if (node.kind === 'setting' && isSecret(node)) names.push(`${key}_file`, `${variable}_FILE`)
    for (const name of names) {
      const other = seen.get(name)
      if (other !== undefined) throw new TypeError(`${key} and ${other} are both called ${name}`)
      seen.set(name, key)
    }
  }
  return { envPrefix, tree, groups, rules, entries }
}
