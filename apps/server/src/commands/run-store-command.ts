import { createLogger, EXIT, type Invocation, jsonLine } from '@proj/program-kit'

import { describeAudit, formatAudit } from './audit-view.ts'
import { backUp } from './back-up.ts'
import { copyStore, targetUrl } from './copy-store-command.ts'
import { formatDomains, removeDomainForOperator } from './domain-view.ts'
import { describeReservation, formatReservations, releaseForOperator } from './name-view.ts'
import { describeOwnedClaim } from '../domains/claim-view.ts'
import { openClusterCommandStore } from '../store/cluster-store.ts'
import { openServerStore } from '../store/server-store.ts'
import type { ServerTree } from '../settings.ts'
import type { OwnCommands } from './commands.ts'
import type { STORE_COMMANDS } from './store-commands.ts'
import { makeToken, revokeToken } from './token-commands.ts'
import { describeToken, formatTokens } from './token-view.ts'

/** An invocation of one of the commands on the store. */
export type StoreInvocation = Invocation<ServerTree, OwnCommands> & {
  readonly command: { readonly name: keyof typeof STORE_COMMANDS }
}

/** Runs a command on the store of the server, beside a running server or without one. */
export async function runStoreCommand(invocation: StoreInvocation): Promise<number> {
  const { command, loaded, json, colour, around } = invocation
  const { settings } = loaded
  const { stdout, stderr, env } = around
  // What a command does it says itself; the log is for what goes wrong.
  const logger = createLogger({
    format: settings.log.format,
    level: 'warn',
    stream: stderr,
    colour,
  })
  const mustExist = command.name !== 'token create'
  const { dataDir } = settings
  const url = settings.cluster.databaseUrl?.reveal()
  const print = (value: unknown): void => void stdout.write(jsonLine(value))
  if (command.name === 'store copy') {
    const { to, toFile } = command.flags
    const source = { dataDir, env, logger }
    const copied = await copyStore({ ...source, url: targetUrl({ to, toFile, url }) })
    if (json) print(copied)
    else {
      const { database, tokens, names, domains, events } = copied
      const rows = `${tokens} tokens, ${names} names, ${domains} domains and ${events} audit events`
      stdout.write(`${database} has ${rows}\n`)
    }
    return EXIT.ok
  }
  using store =
    url === undefined
      ? openServerStore({ dataDir, env, logger, mustExist })
      : await openClusterCommandStore(url, logger)
  switch (command.name) {
    case 'token create': {
      const { text, record } = await makeToken(store, command.flags)
      const token = { ...record, revokedAt: undefined, lastUsedAt: undefined }
      if (json) print({ token: text, ...describeToken(token) })
      else {
        // Standard output has only the token, for scripts; its description goes to standard error.
        stdout.write(`${text}\n`)
        stderr.write(`${formatTokens([token])}it is not shown again\n`)
      }
      break
    }
    case 'token list': {
      const tokens = store.tokens.list()
      if (json) print(tokens.map(describeToken))
      else stdout.write(formatTokens(tokens))
      break
    }
    case 'token revoke': {
      const { id } = await revokeToken(store, command.args.id)
      if (json) print({ revoked: id })
      else stdout.write(`${id} is revoked\n`)
      break
    }
    case 'name list': {
      const names = store.reservations.list()
      if (json) print(names.map(describeReservation))
      else stdout.write(formatReservations(names))
      break
    }
    case 'name release': {
      const { name } = command.args
      const released = await releaseForOperator(store, command.flags.tenant, name)
      if (json) print({ released: describeReservation(released) })
      else stdout.write(`${name} is released\n`)
      break
    }
    case 'domain list': {
      const domains = store.domains.list()
      if (json) print(domains.map(describeOwnedClaim))
      else stdout.write(formatDomains(domains))
      break
    }
    case 'domain remove': {
      const removed = await removeDomainForOperator(store, command.args.domain, command.flags)
      if (json) print({ removed: describeOwnedClaim(removed) })
      else stdout.write(`${removed.domain} is removed\n`)
      break
    }
    case 'audit': {
      const since = Math.max(0, Date.now() - command.flags.sinceMs)
      const records = await store.audit.read({ since })
      if (json) for (const record of records) print(describeAudit(record))
      else stdout.write(formatAudit(records))
      for (const [event, count] of Object.entries(await store.audit.deleted())) {
        logger.warn({ event, count }, 'older events were deleted for newer ones of their kind')
      }
      break
    }
    case 'backup': {
      const { file } = command.args
      await backUp(store, file)
      if (json) print({ backup: file })
      else stdout.write(`${file} has everything\n`)
    }
  }
  await store.settle()
  return EXIT.ok
}
