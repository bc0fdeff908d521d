/** Small parts that views share. */
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'

import type { ExchangeRow } from '../contract.ts'
import { copyText } from './api.ts'
import { formatMs, nameOfCharacter, UNSEEN } from './format.ts'

/** What a row comes to, for its icon and colour. */
export type Outcome = 'ok' | 'redirect' | 'warn' | 'bad' | 'open' | 'off'

/** Tells what an exchange comes to. */
export function outcomeOf({ state, status, kind }: ExchangeRow): Outcome {
  if (state === 'failed') return 'bad'
  if (status !== undefined && status >= 500) return 'bad'
  if (status !== undefined && status >= 400) return 'warn'
  if (state === 'open') return 'open'
  if (kind === 'tcp' || status === undefined) return 'off'
  return status >= 300 ? 'redirect' : 'ok'
}

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

/** Icon of an outcome, with its word for those who do not see it. */
export function OutcomeIcon({ outcome }: { readonly outcome: Outcome }): JSX.Element {
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
      <span class="hidden-text">{WORDS[outcome]}</span>
    </>
  )
}

/**
 * A text of others: always left to right, and what is not drawn, or would change the order of the rest, is shown as
 * its name.
 */
export function Foreign({ text }: { readonly text: string }): JSX.Element {
  if (!UNSEEN.test(text)) return <bdi dir="ltr">{text}</bdi>
  const parts = text.split(new RegExp(`(${UNSEEN.source})`, 'u'))
  return (
    <bdi dir="ltr">
      {parts.map((part, at) =>
        at % 2 === 0 ? (
          part
        ) : (
          <span class="escape" key={at}>
            {nameOfCharacter(part)}
          </span>
        ),
      )}
    </bdi>
  )
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

/** A button that copies, and says so. */
export function CopyButton({
  text,
  label = 'Copy',
  children,
}: {
  readonly text: string | (() => Promise<string>)
  readonly label?: string
  readonly children?: ComponentChildren
}): JSX.Element {
  const [said, say] = useState('')
  const copy = async (): Promise<void> => {
    try {
      const value = typeof text === 'string' ? text : await text()
      say((await copyText(value)) ? 'Copied' : 'Not allowed')
    } catch (error) {
      say(error instanceof Error ? error.message : 'It failed')
    }
    setTimeout(() => say(''), 2_000)
  }
  return (
    <button type="button" onClick={() => void copy()}>
      {said === '' ? (children ?? label) : said}
    </button>
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
