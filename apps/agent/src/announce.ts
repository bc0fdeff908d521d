import { formatBindNotes, formatTable, jsonLine, type TextOutput } from '@proj/program-kit'
import { escapeLines, escapeUnprintable } from '@proj/config'
import type { Agent, Consumer } from '@proj/tunnel'

import { formatRefusal, type ListenerRefusal } from './listeners/listener-refusal.ts'
import { formatListenerAddr } from './listeners/listener-addr.ts'
import { SOFTWARE } from './version.ts'
import type { RunningConfig, RunningListener } from './running-config.ts'
import { formatOthers } from './status/format-others.ts'
import { visitorAddresses } from './status/visitor-addresses.ts'

/**
 * Prints the listeners and accesses with the addresses that are really bound. It connects once to
 * each local address, to see whether the connection arrives here.
 */
export async function announce(
  running: RunningConfig,
  how: {
    /** What is connected. */
    readonly agent: Pick<Agent, 'connections'>
    readonly consumer: Pick<Consumer, 'connections'>
    /** URLs of the servers. */
    readonly urls: readonly string[]
    readonly stdout: TextOutput
    readonly json: boolean
    /** Address of the inspector; undefined: there is none. */
    readonly inspect?: string | undefined
  },
): Promise<void> {
  const { agent, consumer, urls, stdout, json, inspect } = how
  const connections = [...agent.connections, ...consumer.connections]
  const accesses = await Promise.all(
    running.accesses.map(async ({ setting: { endpoint }, binds }) => ({
      endpoint,
      addresses: binds.flatMap(({ addresses }) => addresses),
      waiting: binds.flatMap(({ text: address, waiting }) =>
        waiting === undefined ? [] : [{ address, ...waiting }],
      ),
      warnings: (await Promise.all(binds.map((bind) => bind.notes()))).flat(),
    })),
  )
  if (json) {
    const listeners = running.listeners.map(({ made }) => {
      const { endpoint, kind, urls, port, others } = made.listener
      const { code, text, hint } = refusalNow(made) ?? {}
      return {
        endpoint,
        kind,
        urls,
        ...(port !== undefined && { port }),
        ...(others.agents > 0 && { others }),
        ...(text !== undefined && { refused: { code, text, hint } }),
      }
    })
    const servers = connections.map(({ url: server, serverId }) => ({ server, serverId }))
    const ready = {
      event: 'ready',
      software: SOFTWARE,
      servers,
      listeners,
      accesses,
      ...(inspect !== undefined && { inspect }),
    }
    stdout.write(jsonLine(ready))
    return
  }
  const rows = [
    ...running.listeners.flatMap(listenerRows),
    ...accesses.flatMap(({ endpoint, addresses, waiting }) => [
      ...addresses.map((address, index) => [index === 0 ? endpoint : '', address, '->', endpoint]),
      ...waiting.map(({ address, holder }, index) => {
        const who = holder === undefined ? '' : `, held by ${holder}`
        const first = index === 0 && addresses.length === 0
        return [first ? endpoint : '', `waiting for ${address}${who}`]
      }),
    ]),
  ]
  const refused = running.listeners.map(({ made }) => {
    const refusal = refusalNow(made)
    return refusal === undefined ? '' : escapeLines(formatRefusal(made.listener.endpoint, refusal))
  })
  const notes = refused.join('') + formatBindNotes(accesses.flatMap(({ warnings }) => warnings))
  const reached = new Set(connections.map(({ url }) => url))
  // With a Piko server an access has no connection of its own.
  const servers = reached.size === 0 ? urls : urls.filter((url) => reached.has(url))
  const page = inspect === undefined ? '' : `\ninspector: ${inspect}\n`
  const title = `${SOFTWARE.replace('/', ' ')}, connected to ${servers.join(', ')}`
  stdout.write(
    `${escapeUnprintable(title)}\n\n${formatTable(rows, { indent: 2 })}${page}\n${notes}`,
  )
}

/** Prints only the warnings about the local addresses, where a live view shows the rest. */
export async function noteBinds(
  { accesses }: RunningConfig,
  output: { write(text: string): void },
): Promise<void> {
  const binds = accesses.flatMap((access) => access.binds)
  const notes = (await Promise.all(binds.map((bind) => bind.notes()))).flat()
  if (notes.length > 0) output.write(formatBindNotes(notes))
}

/** Why a listener is not served now. */
function refusalNow({ listener, refusal }: RunningListener['made']): ListenerRefusal | undefined {
  return listener.online ? undefined : refusal
}

/** A row for each address: endpoint, address, service. Behind them, that other agents serve it too. */
function listenerRows({ setting, made }: RunningListener): string[][] {
  const { endpoint, others } = made.listener
  const service = formatListenerAddr(setting.addr)
  if (refusalNow(made) !== undefined) return [[endpoint, 'refused', '->', service]]
  const rows = visitorAddresses(made.listener).map((address, index) => [
    index === 0 ? endpoint : '',
    address,
    '->',
    service,
  ])
  return others.agents === 0 ? rows : [...rows, ['', formatOthers(others)]]
}
