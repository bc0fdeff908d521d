import {
  duration,
  formatSize,
  integer,
  rate,
  type Rate,
  ratePerSecond,
  type RuleProblem,
  type Setting,
  setting,
  size,
} from '@proj/config'

/** Settings of the limits of an endpoint, to be put into a group `limits`. */
export const ENDPOINT_LIMIT_SETTINGS: {
  readonly rate: Setting<Rate | undefined>
  readonly ratePerVisitor: Setting<Rate | undefined>
  readonly concurrent: Setting<number | undefined>
  readonly maxBodyBytes: Setting<number | undefined>
  readonly maxTimeMs: Setting<number | undefined>
  readonly upload: Setting<Rate | undefined>
  readonly download: Setting<Rate | undefined>
} = {
  rate: setting(rate('events'), {
    description: 'Most requests, or connections of a TCP endpoint, of all visitors; then 429.',
  }),
  ratePerVisitor: setting(rate('events'), {
    description: 'Most of them of one address, or /64 of IPv6; then 429.',
  }),
  concurrent: setting(integer({ min: 1 }), {
    description: 'Most requests and connections at once; then 429.',
  }),
  maxBodyBytes: setting(size(), { description: 'Largest body of a request; then 413.' }),
  maxTimeMs: setting(duration({ min: '10ms' }), {
    description:
      'Longest time from the head of a request to the end of its answer; then 504 or a reset.',
  }),
  upload: setting(rate('bytes'), {
    description: 'Most bytes per time from all visitors together; more of them wait.',
  }),
  download: setting(rate('bytes'), {
    description: 'The same of bytes to all visitors.',
  }),
}

/**
 * A rule for `defineSettings`: a rate of 0 admits no visitor, and a low bandwidth stops all of them.
 *
 * @param minBandwidth - the lowest bandwidth, bytes per second.
 */
export function* limitProblems(
  key: string,
  limits: Readonly<Record<'rate' | 'ratePerVisitor' | 'upload' | 'download', Rate | undefined>>,
  minBandwidth: number,
): Generator<RuleProblem> {
  for (const name of ['upload', 'download'] as const) {
    const value = limits[name]
    if (value === undefined || ratePerSecond(value) >= minBandwidth) continue
    yield { key: `${key}.${name}`, message: `the least is ${formatSize(minBandwidth)}/s` }
  }
  const rates = [
    ['rate', limits.rate],
    ['rate_per_visitor', limits.ratePerVisitor],
  ] as const
  for (const [name, value] of rates) {
    if (value?.amount !== 0) continue
    yield { key: `${key}.${name}`, message: 'a rate of 0 lets no visitor in' }
  }
}
