// Facts that only `explain` reports; they do not prevent a start.
import { readSetting } from './blocked-warnings.ts'
import { formatEndpoint, type Endpoint } from '../endpoint.ts'
import { describeHolder, type Holder } from '../holders/holder.ts'
import { type Warning, warning } from '../warnings.ts'

/** PC140: a fixed port in the range of outgoing connections (Linux). */
export async function ephemeralAdvice(port: number): Promise<Warning[]> {
  const [first, last] = ((await readSetting('ip_local_port_range')) ?? '').split(/\s+/).map(Number)
  if (first === undefined || last === undefined || port < first || port > last) return []
  if (inRanges(port, (await readSetting('ip_local_reserved_ports')) ?? '')) return []
  return [
    warning(
      'PC140',
      `a later start can fail: the system uses ports ${first} to ${last} for outgoing connections`,
      `use a port outside of this range, or reserve this one: net.ipv4.ip_local_reserved_ports=${port}`,
    ),
  ]
}

/** PC107: listeners with the same port on other addresses. */
export function otherAddresses(
  endpoints: readonly Endpoint[],
  holders: readonly Holder[],
  named: readonly Warning[],
): Warning[] {
  const own = new Set(endpoints.map(formatEndpoint))
  return holders
    .filter((holder) => holder.state === 'listening' && holder.relation !== 'self')
    .filter((holder) => !own.has(formatEndpoint(holder)))
    .filter((holder) => !named.some((one) => one.holder?.host === holder.host))
    .map((holder) =>
      warning(
        'PC107',
        `another program listens on the same port of another address: ${describeHolder(holder)}`,
        'nothing to do',
        { endpoint: formatEndpoint(holder), holder },
      ),
    )
}

/** Tells whether a port is in a list such as `3000,8000-8100`. */
export function inRanges(port: number, ranges: string): boolean {
  return ranges.split(',').some((range) => {
    const [first = '', last = first] = range.split('-')
    return first !== '' && port >= Number(first) && port <= Number(last)
  })
}
