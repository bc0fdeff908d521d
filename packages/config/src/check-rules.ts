/**
 * Runs cross-field rules, also over settings of which some are wrong: reading a wrong value stops
 * the rule. A stopped rule runs again without the list elements that have wrong values, so that one
 * bad listener does not hide that two others are in each other's way.
 */
import type { Problem } from './problem.ts'
import { type BrokenItem, type Resolution, UNAVAILABLE } from './resolve-settings.ts'
import type { Rule, RuleProblem } from './rule.ts'
import type { Resolved } from './settings-tree.ts'

/**
 * Returns what the rules find. The lists of a resolution with wrong values have holes afterwards;
 * nobody else may read those.
 */
export function checkRules<Tree>(rules: readonly Rule<Tree>[], resolution: Resolution): Problem[] {
  const settings = resolution.settings as Resolved<Tree>
  const found = new Map<string, RuleProblem>()
  const stopped = rules.filter((rule) => !runRule(rule, settings, found))
  for (const item of resolution.brokenItems) hide(item)
  for (const rule of stopped) runRule(rule, settings, found)

  const origins = new Map(resolution.values.map(({ key, origin }) => [key, origin]))
  return [...found.values()].map(({ key, message, hint, severity = 'error' }) => {
    const origin = origins.get(key)
    return {
      code: 'CONFIG_RULE_BROKEN',
      severity,
      key,
      ...(origin === undefined ? {} : { origin }),
      message,
      ...(hint === undefined ? {} : { hint }),
    }
  })
}

/** Collects what a rule yields; returns false when a wrong value stopped it. */
function runRule<Tree>(
  rule: Rule<Tree>,
  settings: Resolved<Tree>,
  found: Map<string, RuleProblem>,
): boolean {
  try {
    for (const problem of rule(settings)) found.set(`${problem.key} ${problem.message}`, problem)
    return true
  } catch (error) {
    if (error !== UNAVAILABLE) throw error
    return false
  }
}

/** Makes a hole; `forEach` and its kin skip holes by themselves, loops have to be told. */
function hide({ list, index }: BrokenItem): void {
  Reflect.deleteProperty(list, index)
  const left = Object.keys(list).map((key): [number, object | undefined] => [
    Number(key),
    list[Number(key)],
  ])
  const items = left.map(([, item]) => item)
  Object.defineProperty(list, 'entries', { configurable: true, value: () => left.values() })
  Object.defineProperty(list, Symbol.iterator, { configurable: true, value: () => items.values() })
}
