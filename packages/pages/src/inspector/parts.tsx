/** Small parts of the views. */
import type { JSX } from 'preact'

import type { ExchangeRow } from '../contract.ts'
import { formatMs } from '../parts/format.ts'
import type { Outcome } from '../parts/pictures.tsx'

/** Tells what an exchange comes to. */
export function outcomeOf({ state, status, kind }: ExchangeRow): Outcome {
  if (state === 'failed') return 'bad'
  if (status !== undefined && status >= 500) return 'bad'
  if (status !== undefined && status >= 400) return 'warn'
  if (state === 'open') return 'open'
  if (kind === 'tcp' || status === undefined) return 'off'
  return status >= 300 ? 'redirect' : 'ok'
}

/** How long the parts of an exchange took: wider for longer ones, not in proportion. */
export function TimeBar({
  row,
  width,
}: {
  readonly row: ExchangeRow
  readonly width: number
}): JSX.Element {
  const { totalMs, tunnelMs = 0, waitMs = 0, bodyMs = 0 } = row
  if (totalMs === undefined) return <span class="timebar" />
  const whole = Math.max(0.001, tunnelMs + waitMs + bodyMs)
  // 1 ms to 1 s over the width; longer is full.
  const length = Math.max(6, Math.min(1, Math.log10(Math.max(1, totalMs)) / 3) * width)
  const part = (ms: number): { readonly inlineSize: string } => ({
    inlineSize: `${(ms / whole) * length}px`,
  })
  return (
    <span class="timebar" aria-hidden="true">
      {tunnelMs > 0 && <i class="tunnel" style={part(tunnelMs)} />}
      {waitMs > 0 && <i class="waiting" style={part(waitMs)} />}
      {bodyMs > 0 && <i class="body" style={part(bodyMs)} />}
    </span>
  )
}

/** One time of a legend. */
export function LegendTime({
  name,
  ms,
  colour,
}: {
  readonly name: string
  readonly ms: number | undefined
  readonly colour?: string
}): JSX.Element | null {
  if (ms === undefined) return null
  return (
    <span class="legend">
      {colour !== undefined && <i class={colour} aria-hidden="true" />}
      {name} <b>{formatMs(ms)}</b>
    </span>
  )
}
