import type { Resolved } from './settings-tree.ts'

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
