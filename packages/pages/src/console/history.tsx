/** The last hour as small pictures; their numbers stand beside them, for those who see no picture too. */
import type { JSX } from 'preact'

import type { HistoryItem } from '../console-contract.ts'
import { formatMs } from '../parts/format.ts'
import { Spark } from '../parts/pictures.tsx'

/** Size of a picture, px. */
const WIDTH = 180
const HEIGHT = 32

const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0)

/** A rate with at most two digits behind the point. */
export function formatRate(perSecond: number): string {
  if (perSecond === 0) return '0/s'
  if (perSecond < 0.01) return '< 0.01/s'
  return `${perSecond < 10 ? perSecond.toFixed(2).replace(/\.?0+$/, '') : Math.round(perSecond)}/s`
}

/** The last hour of an endpoint, or of the server. */
export function History({ history }: { readonly history: HistoryItem }): JSX.Element {
  const { stepMs, requests, errors, rejected, p95Ms } = history
  // The last step goes on: its rate is not known yet.
  const perSecond = requests.slice(0, -1).map((one) => one / (stepMs / 1_000))
  const now = perSecond.at(-1) ?? 0
  const all = sum(requests)
  const share = all === 0 ? 0 : (sum(errors) / all) * 100
  const times = p95Ms.map((one) => one ?? 0)
  const last = p95Ms.findLast((one) => one !== null)
  return (
    <section aria-label="The last hour">
      <h3>The last hour</h3>
      <ul class="tiles">
        <Tile name="Requests" value={`${formatRate(now)}, ${all} in all`} values={perSecond} />
        <Tile
          name="Failures"
          value={`${share === 0 ? '0' : share < 0.1 ? '< 0.1' : share.toFixed(1)} %, ${sum(errors)} in all`}
          values={errors}
        />
        <Tile name="Rejected visitors" value={String(sum(rejected))} values={rejected} />
        <Tile
          name="95 % of the answers took"
          value={last === undefined || last === null ? '–' : `up to ${formatMs(last)}`}
          values={times}
        />
      </ul>
    </section>
  )
}

function Tile({
  name,
  value,
  values,
}: {
  readonly name: string
  readonly value: string
  readonly values: readonly number[]
}): JSX.Element {
  return (
    <li>
      <div class="tile">
        <span class="muted">{name}</span>
        <b>{value}</b>
        <Spark values={values} width={WIDTH} height={HEIGHT} />
      </div>
    </li>
  )
}
