import { formatBindNotes, formatTable, type TextOutput } from '@proj/program-kit'
import { formatDialAddress } from '@proj/config'

import { SOFTWARE } from './version.ts'
import { waysTo } from './status/ways-to.ts'
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
    accesses.map(async ({ setting: { endpoint }, binds }) => ({
      endpoint,
      addresses: binds.flatMap(({ addresses }) => addresses),
      waiting: binds.flatMap(({ text: address, waiting }) =>
        waiting === undefined ? [] : [{ address, ...waiting }],
      ),
      warnings: (await Promise.all(binds.map((bind) => bind.notes()))).flat(),
    })),
  )
  if (json) {
    const listeners = offers.map(({ made }) => {
      const { endpoint, kind, urls, port } = made.listener
      return { endpoint, kind, urls, ...(port !== undefined && { port }) }
    })
    const ready = { event: 'ready', software: SOFTWARE, listeners, accesses: brought }
    stdout.write(`${JSON.stringify(ready)}\n`)
    return
  }
  const rows = [
    ...offers.flatMap(offerRows),
    ...brought.flatMap(({ endpoint, addresses, waiting }) => [
      ...addresses.map((address, index) => [index === 0 ? endpoint : '', address, '->', endpoint]),
      ...waiting.map(({ address, holder }, index) => {
        const who = holder === undefined ? '' : `, held by ${holder}`
        const first = index === 0 && addresses.length === 0
        return [first ? endpoint : '', `waiting for ${address}${who}`]
      }),
    ]),
  ]
  const notes = formatBindNotes(brought.flatMap(({ warnings }) => warnings))
  const title = `${SOFTWARE.replace('/', ' ')}, connected to ${url}`
  stdout.write(`${title}\n\n${formatTable(rows, 2)}\n${notes}`)
}

/** Says what is not as one might think about the local addresses, where the rest is shown anyway. */
export async function noteBinds(
  { accesses }: Work,
  output: { write(text: string): void },
): Promise<void> {
  const binds = accesses.flatMap((access) => access.binds)
  const notes = (await Promise.all(binds.map((bind) => bind.notes()))).flat()
  if (notes.length > 0) output.write(formatBindNotes(notes))
}

/** A row for each URL: endpoint, how it is reached, service. */
function offerRows({ setting, made }: RunningOffer): string[][] {
  const { endpoint } = made.listener
  const service = formatDialAddress(setting.addr)
  const ways = waysTo(made.listener)
  return ways.map((way, index) => [index === 0 ? endpoint : '', way, '->', service])
}
