/** Small pictures: icons of outcomes, and lines of rates. */
import type { JSX } from 'preact'

/** What something comes to, for its icon and colour. */
export type Outcome = 'ok' | 'redirect' | 'warn' | 'bad' | 'open' | 'off'

const WORDS: Readonly<Record<Outcome, string>> = {
  ok: 'successful',
  redirect: 'redirected',
  warn: 'rejected',
  bad: 'failed',
  open: 'open',
  off: 'ended',
}

const SHAPES: Readonly<Record<Outcome, JSX.Element>> = {
  ok: (
    <g fill="none" stroke="currentColor" stroke-width="1.5">
      <circle cx="8" cy="8" r="6.2" />
      <path d="m5 8.2 2.1 2.1L11 6.2" />
    </g>
  ),
  redirect: (
    <g fill="none" stroke="currentColor" stroke-width="1.5">
      <circle cx="8" cy="8" r="6.2" />
      <path d="M4.8 8h6M8.5 5.6 11 8l-2.5 2.4" />
    </g>
  ),
  warn: (
    <g fill="none" stroke="currentColor" stroke-width="1.5">
      <path d="M8 2 14.5 13.5h-13z" stroke-linejoin="round" />
      <path d="M8 6.2v3.6M8 11v1.2" />
    </g>
  ),
  bad: (
    <g>
      <path d="M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z" fill="currentColor" />
      <path d="m5.5 5.5 5 5m0-5-5 5" fill="none" stroke="var(--bg)" stroke-width="1.6" />
    </g>
  ),
  open: (
    <path
      d="M1.8 5.5h10M9.3 3l2.6 2.5L9.3 8M14.2 10.5h-10M6.7 8l-2.6 2.5L6.7 13"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
    />
  ),
  off: <path d="M3.5 8h9" fill="none" stroke="currentColor" stroke-width="1.8" />,
}

/**
 * Icon of an outcome, with its word for those who do not see it.
 *
 * @param word - Default: that of exchanges. Empty where the word stands beside the icon.
 */
export function OutcomeIcon({
  outcome,
  word = WORDS[outcome],
}: {
  readonly outcome: Outcome
  readonly word?: string
}): JSX.Element {
  const colour = {
    ok: 'ok',
    redirect: 'muted',
    warn: 'warn',
    bad: 'bad',
    open: 'muted',
    off: 'muted',
  }
  return (
    <>
      <svg class={`icon ${colour[outcome]}`} viewBox="0 0 16 16" aria-hidden="true">
        {SHAPES[outcome]}
      </svg>
      {word !== '' && <span class="hidden-text">{word}</span>}
    </>
  )
}

/** Small picture of rates. */
export function Spark({
  values,
  width,
  height,
  label,
}: {
  readonly values: readonly number[]
  readonly width: number
  readonly height: number
  readonly label?: string
}): JSX.Element {
  const most = Math.max(1, ...values)
  const step = values.length > 1 ? width / (values.length - 1) : width
  const points = (values.length > 1 ? values : [values[0] ?? 0, values[0] ?? 0])
    .map(
      (value, at) =>
        `${(at * step).toFixed(1)},${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`,
    )
    .join(' ')
  const named =
    label === undefined ? { 'aria-hidden': true } : { role: 'img' as const, 'aria-label': label }
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} {...named}>
      <polyline points={points} fill="none" stroke="currentColor" stroke-width="1.3" />
    </svg>
  )
}

/** The sign of the program. */
export function Logo(): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M3.5 14V8a4.5 4.5 0 0 1 9 0v6" fill="none" stroke="currentColor" stroke-width="2" />
    </svg>
  )
}
