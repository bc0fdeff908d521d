import { printable } from '@proj/config'
import { EXIT, formatTable, type Invocation, jsonLine } from '@proj/program-kit'
import {
  askForDomain,
  type OwnDomain,
  ownDomains,
  releaseName,
  removeDomain,
  reservedNames,
  reserveName,
  type ReservedName,
} from '@proj/tunnel'

import { serverOptions } from '../connect/server-options.ts'
import type { AgentTree } from '../settings.ts'
import type { OwnCommands } from './commands.ts'
import type { NAME_COMMANDS } from './name-commands.ts'
import { explainError } from './explain-error.ts'

/** An invocation of one of the commands for names. */
export type NameInvocation = Invocation<AgentTree, OwnCommands> & {
  readonly command: { readonly name: keyof typeof NAME_COMMANDS }
}

/** Runs one of the commands for names. */
export async function runNameCommand(invocation: NameInvocation): Promise<number> {
  const { command, loaded, json, around } = invocation
  const { stdout, env, signals } = around
  const server = await serverOptions(loaded.settings.connect, env)
  const print = (value: unknown, text: string): void =>
    void stdout.write(json ? jsonLine(value) : text)
  const signal = signals.stop
  try {
    switch (command.name) {
      case 'reserve': {
        const { kind } = command.flags
        const held = await reserveName(server, command.args.name, { kind, signal })
        print(held, `${printable(held.endpoint)} is reserved for ${printable(held.identity)}\n`)
        break
      }
      case 'release': {
        const { name } = command.args
        await releaseName(server, name, { signal })
        print({ released: name }, `${printable(name)} is released\n`)
        break
      }
      case 'list': {
        const names = await reservedNames(server, { signal })
        print(names, formatNames(names))
        break
      }
      case 'domain add': {
        const { domain, name } = command.args
        const { challenge } = command.flags
        const asked = await askForDomain(server, domain, name, { challenge, signal })
        print(asked, formatDomain(asked))
        break
      }
      case 'domain list': {
        const domains = await ownDomains(server, { signal })
        print(domains, formatDomains(domains))
        break
      }
      case 'domain remove': {
        const { domain } = command.args
        await removeDomain(server, domain, { signal })
        print({ removed: domain }, `${printable(domain)} is removed\n`)
      }
    }
    return EXIT.ok
  } catch (error) {
    if (signals.stop.aborted) return EXIT.ok
    throw explainError(error, loaded.settings.connect)
  }
}

function formatDomain(asked: OwnDomain): string {
  const name = printable(asked.domain)
  if (asked.state === 'proved') {
    return `${name} is proved and leads to ${printable(asked.endpoint)}\n`
  }
  const needs =
    asked.challenge === 'txt'
      ? 'its DNS needs this record'
      : 'its web server needs this file with this line'
  const proof = proofOf(asked).map(printable).join('  ')
  return `${name} is not proved: ${needs}, which the server looks for again and again\n  ${proof}\n`
}

/** What proves a domain, as words of one line. */
function proofOf({ record, file }: OwnDomain): readonly string[] {
  if (file !== undefined) return [file.url, file.content]
  return record === undefined ? [] : [record.name, record.type, record.value]
}

function formatDomains(domains: readonly OwnDomain[]): string {
  if (domains.length === 0) return 'no domains are asked for\n'
  const rows = domains.map((one) => [
    printable(one.domain),
    printable(one.endpoint),
    one.state,
    one.state === 'proved' ? '' : proofOf(one).map(printable).join(' '),
  ])
  return formatTable([['DOMAIN', 'ENDPOINT', 'STATE', 'RECORD OR FILE TO ADD'], ...rows])
}

function formatNames(names: readonly ReservedName[]): string {
  if (names.length === 0) return 'no names are reserved\n'
  const rows = names.map(({ endpoint, kind, since, sessions, port }) => [
    printable(endpoint),
    port === undefined ? kind : `${kind} ${port}`,
    sessions === 0 ? 'offline' : 'online',
    `${since.slice(0, 16)}Z`,
  ])
  return formatTable([['NAME', 'KIND', 'STATE', 'SINCE'], ...rows])
}
