import { type ListenerStatus, roughSize, type TrafficStatus } from '@proj/program-kit'

type Counted = TrafficStatus & Pick<ListenerStatus, 'requests'>

/** How much a listener or an access has carried, as people count: requests of HTTP, connections of TCP. */
export function countsOf({ open, total, requests }: Counted): {
  readonly open: string
  readonly total: string
} {
  if (requests === undefined) return { open: `${open} open`, total: plural(total, 'connection') }
  return { open: `${requests.open} running`, total: plural(requests.total, 'request') }
}

/** The same with the bytes, as one line. */
export function formatCounts(counted: Counted): string {
  const { open, total } = countsOf(counted)
  const { bytesToService, bytesFromService } = counted
  return `${total}, ${open}, ${roughSize(bytesToService)} to the service, ${roughSize(bytesFromService)} from it`
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
