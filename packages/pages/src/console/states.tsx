/** States as icon and word: never as a colour alone. */
import type { JSX } from 'preact'

import type { EndpointState, StepState } from '../console-contract.ts'
import { type Outcome, OutcomeIcon } from '../parts/pictures.tsx'

export const STEP_ICONS: Readonly<Record<StepState, readonly [Outcome, string]>> = {
  ok: ['ok', 'good'],
  warn: ['warn', 'needs attention'],
  bad: ['bad', 'broken'],
  unknown: ['open', 'not known'],
  unchecked: ['off', 'not checked'],
}

const STATES: Readonly<Record<EndpointState, readonly [Outcome, string]>> = {
  reachable: ['ok', 'reachable'],
  degraded: ['warn', 'needs attention'],
  down: ['bad', 'not reachable'],
  unknown: ['open', 'not known yet'],
}

/** Icon of an endpoint's state; its word is beside it, or hidden. */
export function StateIcon({
  state,
  hasWord = false,
}: {
  readonly state: EndpointState
  readonly hasWord?: boolean
}): JSX.Element {
  const [outcome, word] = STATES[state]
  return (
    <span class="state">
      <OutcomeIcon outcome={outcome} word={hasWord ? '' : word} /> {hasWord && word}
    </span>
  )
}
