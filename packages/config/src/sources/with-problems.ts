import type { Loaded } from './load-settings.ts'
import { hasErrors, type Problem } from './problem.ts'
import type { ResolvedValue } from './resolve-settings.ts'
import type { RuleProblem } from '../definition/rule.ts'
import type { SettingsTree } from '../definition/settings-tree.ts'

/** Adds what a program found out about settings by itself, such as a file that cannot be read. */
export function withProblems<Tree extends SettingsTree>(
  loaded: Loaded<Tree>,
  found: readonly RuleProblem[],
): Loaded<Tree> {
  const { values, files } = loaded
  const added = found.map((problem) => placed(problem, values))
  const problems = [...loaded.problems, ...added]
  return hasErrors(added) ? { ok: false, values, files, problems } : { ...loaded, problems }
}

/** A problem with the place its value stands at. */
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
