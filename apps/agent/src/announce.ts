import { formatTable, type TextOutput } from '@proj/console'
import { formatDialAddress } from '@proj/config'

import { SOFTWARE } from './version.ts'
import type { RunningOffer, Work } from './work.ts'

/** Says what is offered and brought, with the addresses that are really there. */
export function announce(
  { offers, accesses }: Work,
  how: { readonly url: string; readonly stdout: TextOutput; readonly json: boolean },
): void {
  const { url, stdout, json } = how
  const brought = accesses.map(({ endpoint, listeners: { bound } }) => ({
    endpoint,
    addresses: bound.flatMap(({ sockets }) => sockets.map(({ address }) => address)),
    warnings: bound.flatMap(({ warnings }) => warnings),
  }))
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
  const warnings = brought.flatMap((one) =>
    one.warnings.map(({ code, text, hint }) => `warning: ${text} (${code})\n  ${hint}\n`),
  )
  const title = `${SOFTWARE.replace('/', ' ')}, connected to ${url}`
  stdout.write(`${title}\n\n${formatTable(rows, 2)}\n${warnings.join('')}`)
}

/** A row for each URL: endpoint, how it is reached, service. */
function offerRows({ setting, made: { endpoint, kind, urls } }: RunningOffer): string[][] {
  const service = formatDialAddress(setting.addr)
  const ways = kind === 'http' && urls.length > 0 ? urls : [`adit access ${endpoint}`]
  return ways.map((way, index) => [index === 0 ? endpoint : '', way, '->', service])
}
