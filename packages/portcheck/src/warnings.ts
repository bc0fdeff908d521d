// The stable warning codes. A text first says what happens to the user, then the fact; the hint is one
// thing to do. Texts can change in any release, codes do not.
import type { Holder } from './holders/holder.ts'

/** Severity of a warning; `error`: traffic will not arrive. */
export type Severity = 'info' | 'warn' | 'error'

/** The codes of {@link WARNINGS}. */
export type WarningCode =
  | 'PC101'
  | 'PC102'
  | 'PC103'
  | 'PC104'
  | 'PC105'
  | 'PC106'
  | 'PC107'
  | 'PC120'
  | 'PC121'
  | 'PC130'
  | 'PC131'
  | 'PC132'
  | 'PC133'
  | 'PC140'
  | 'PC141'
  | 'PC142'
  | 'PC143'
  | 'PC150'
  | 'PC151'
  | 'PC152'

/** Name and severity of every warning code. */
export const WARNINGS: Readonly<Record<WarningCode, { name: string; severity: Severity }>> =
  Object.freeze({
    PC101: { name: 'family-split', severity: 'warn' },
    PC102: { name: 'shadowed-by-specific', severity: 'warn' },
    PC103: { name: 'shadows-wildcard', severity: 'warn' },
    PC104: { name: 'dual-loses-ipv4', severity: 'warn' },
    PC105: { name: 'shared-by-reuseport', severity: 'warn' },
    PC106: { name: 'dead-listener', severity: 'error' },
    PC107: { name: 'other-address', severity: 'info' },
    PC120: { name: 'not-reached', severity: 'error' },
    PC121: { name: 'unreachable', severity: 'warn' },
    PC130: { name: 'idle-holder', severity: 'info' },
    PC131: { name: 'outgoing-holder', severity: 'warn' },
    PC132: { name: 'leftover', severity: 'info' },
    PC133: { name: 'previous-instance', severity: 'warn' },
    PC140: { name: 'ephemeral-range', severity: 'info' },
    PC141: { name: 'privileged', severity: 'error' },
    PC142: { name: 'excluded-range', severity: 'error' },
    PC143: { name: 'well-known-squatter', severity: 'info' },
    PC150: { name: 'family-missing', severity: 'info' },
    PC151: { name: 'ipv4-only-in-practice', severity: 'info' },
    PC152: { name: 'option-ignored', severity: 'warn' },
  })

/** A fact about a port that a user may not expect. */
export interface Warning {
  /** Stable code, such as `PC101`. */
  readonly code: WarningCode
  /** Severity of the code. */
  readonly severity: Severity
  /** What happens to the user, then the fact. The text can change. */
  readonly text: string
  /** One thing to do. The text can change. */
  readonly hint: string
  /** The address of the warning, if it has one. */
  readonly endpoint?: string
  /** The program of the warning, if it is known. */
  readonly holder?: Holder
}

/** Makes a warning with the severity of its code. */
export function warning(
  code: WarningCode,
  text: string,
  hint: string,
  about: { endpoint?: string; holder?: Holder | undefined } = {},
): Warning {
  const { endpoint, holder } = about
  return {
    code,
    severity: WARNINGS[code].severity,
    text,
    hint,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(holder === undefined ? {} : { holder }),
  }
}
