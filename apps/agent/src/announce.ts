import { bindNotes, formatBindNotes, formatTable, type TextOutput } from '@proj/console'
import { formatDialAddress } from '@proj/config'

import { SOFTWARE } from './version.ts'
import type { RunningOffer, Work } from './work.ts'

/**
 * Says what is offered and brought, with the addresses that are really there; it connects once to
 * each, to see whether the connection arrives here.
 */
export async function announce(
  { offers, accesses }: Work,
  how: { readonly url: string; readonly stdout: TextOutput; readonly json: boolean },
): Promise<void> {
  const { url, stdout, json } = how
  const brought = await Promise.all(
    accesses.map(async ({ setting: { endpoint }, listeners }) => ({
      endpoint,
      addresses: listeners.bound.flatMap(({ sockets }) => sockets.map(({ address }) => address)),
      warnings: await bindNotes(listeners),
    })),
  )
  if (json) {
    const listeners = offers.map(({ made: { endpoint, kind, urls } }) => ({ endpoint, kind, urls }))
    const ready = { event: 'ready', software: SOFTWARE, listeners, accesses: brought }
    stdout.write(`${JSON.stringify(ready)}\n`)
    return
  }
  const rows = [
    ...offers.flatMap(offerRows),
    ...brought.flatMap(({ endpoint, addresses }) =>
      addresses.map((address, index) => [index === 0 ? endpoint : '', address, '->', endpoint]),
    ),
  ]
  const notes = formatBindNotes(brought.flatMap(({ warnings }) => warnings))
  const title = `${SOFTWARE.replace('/', ' ')}, connected to ${url}`
  stdout.write(`${title}\n\n${formatTable(rows, 2)}\n${notes}`)
}

/** A row for each URL: endpoint, how it is reached, service. */
function offerRows({ setting, made: { endpoint, kind, urls } }: RunningOffer): string[][] {
  const service = formatDialAddress(setting.addr)
  const ways = kind === 'http' && urls.length > 0 ? urls : [`adit access ${endpoint}`]
  return ways.map((way, index) => [index === 0 ? endpoint : '', way, '->', service])
}
