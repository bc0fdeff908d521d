/** Small texts that several views have. */
import type { JSX } from 'preact'

import { formatMoment, formatMs } from '../parts/format.ts'
import { Foreign } from '../parts/text.tsx'

/** An endpoint, behind its tenant if it has one. */
export function endpointName(endpoint: string, tenant = ''): string {
  return tenant === '' ? endpoint : `${tenant}/${endpoint}`
}

/** A time, as how long ago it is; the whole of it on hover. */
export function Ago({ time }: { readonly time: string }): JSX.Element {
  return (
    <time dateTime={time} title={formatMoment(time)}>
      {agoOf(Math.max(0, Date.now() - Date.parse(time)))} ago
    </time>
  )
}

/** Without parts of a second, and in days when it is long ago. */
function agoOf(ms: number): string {
  if (ms < 60_000) return `${Math.floor(ms / 1_000)}\u202fs`
  const days = Math.floor(ms / 86_400_000)
  return days >= 2 ? `${days} days` : formatMs(ms)
}

/** A time that is ahead, or over. */
export function Until({ time }: { readonly time: string }): JSX.Element {
  const ms = Date.parse(time) - Date.now()
  const days = Math.floor(ms / 86_400_000)
  return (
    <time dateTime={time} title={formatMoment(time)}>
      {ms < 0 ? 'over' : days >= 2 ? `in ${days} days` : `in ${formatMs(ms)}`}
    </time>
  )
}

/** Texts of others in a row. */
export function List({ texts }: { readonly texts: readonly string[] }): JSX.Element {
  if (texts.length === 0) return <span class="muted">–</span>
  return (
    <>
      {texts.map((text, at) => (
        <span key={text}>
          {at > 0 && ', '}
          <Foreign text={text} />
        </span>
      ))}
    </>
  )
}
