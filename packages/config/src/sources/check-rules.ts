/**
 * Runs cross-field rules, also over settings of which some are wrong: reading a wrong value stops
 * the rule. A stopped rule runs again without the list elements that have wrong values, so that one
 * bad listener does not hide that two others are in each other's way.
 */
import type { Problem } from './problem.ts'
import {
  type BrokenItem,
  type Resolution,
  type ResolvedValue,
  UNAVAILABLE,
} from './resolve-settings.ts'
import type { Rule, RuleProblem } from '../definition/define-settings.ts'
import type { Resolved } from '../definition/settings-tree.ts'

/**
 * Returns what the rules find. Lists that have wrong values are
 * shorter afterwards: do not read them later.
 */
export function checkRules<Tree>(rules: readonly Rule<Tree>[], resolution: Resolution): Problem[] {
  const settings = resolution.settings as Resolved<Tree>
  const found = new Map<string, RuleProblem>()
  const stopped = rules.filter((rule) => !runRule(rule, settings, found, (text) => text))
  if (stopped.length > 0) {
    const renumber = removeBroken(resolution.brokenItems)
    for (const rule of stopped) runRule(rule, settings, found, renumber)
  }
  return [...found.values()].map((problem) => placed(problem, resolution.values))
}

/** Collects what a rule yields; returns false when a wrong value stopped it. */
function runRule<Tree>(
  rule: Rule<Tree>,
  settings: Resolved<Tree>,
  found: Map<string, RuleProblem>,
  renumber: (text: string) => string,
): boolean {
  try {
    for (const problem of rule(settings)) {
      const [key, message] = [renumber(problem.key), renumber(problem.message)]
      const hint = problem.hint === undefined ? {} : { hint: renumber(problem.hint) }
      found.set(`${key} ${message}`, { ...problem, key, message, ...hint })
    }
    return true
  } catch (error) {
    if (error !== UNAVAILABLE) throw error
    return false
  }
}

/**
 * Takes broken elements out of their lists. Returns what writes the positions of the file in place
 * of those in the shorter lists.
 */
function removeBroken(broken: readonly BrokenItem[]): (text: string) => string {
  const kept = new Map<string, readonly number[]>()
  for (const { key, list } of broken) {
    // A list inside a broken element goes with it.
    if (key.includes('[') || kept.has(key)) continue
    const removed = new Set(broken.filter((item) => item.list === list).map(({ index }) => index))
    kept.set(
      key,
      [...list.keys()].filter((index) => !removed.has(index)),
    )
    list.splice(0, list.length, ...list.filter((_, index) => !removed.has(index)))
  }
  return (text) =>
    text.replace(/([a-z0-9_.]+)\[(\d+)\]/g, (place, key: string, index: string) => {
      const original = kept.get(key)?.[Number(index)]
      return original === undefined ? place : `${key}[${original}]`
    })
}

/** A problem with the position of its value. */
export function placed(found: RuleProblem, values: readonly ResolvedValue[]): Problem {
  const { key, message, hint, severity = 'error', code = 'CONFIG_RULE_BROKEN' } = found
  const origin = values.find((value) => value.key === key)?.origin
  return {
    code,
    severity,
    key,
    ...(origin === undefined ? {} : { origin }),
    message,
    ...(hint === undefined ? {} : { hint }),
  }
}
