import { createLogger, EXIT, type Invocation } from '@proj/console'

import { openServerStore } from './server-store.ts'
import type { OwnCommands, ServerTree } from './settings.ts'
import type { STORE_COMMANDS } from './store-commands.ts'
import { makeToken, revokeToken } from './token-commands.ts'
import { describeToken, formatTokens } from './token-view.ts'

/** An invocation of one of the commands on the store. */
export type StoreInvocation = Invocation<ServerTree, OwnCommands> & {
  readonly command: { readonly name: keyof typeof STORE_COMMANDS }
}

/** Runs a command that works on what the server keeps, beside a running server or without one. */
export async function runStoreCommand(invocation: StoreInvocation): Promise<number> {
  const { command, loaded, json, colour, around } = invocation
  const { settings } = loaded
  const { stdout, stderr, env } = around
  // What a command does it says itself; the log is for what goes wrong.
  const logger = createLogger({ ...settings.log, level: 'warn', stream: stderr, colour })
  const mustExist = command.name !== 'token create'
  using store = openServerStore({ dataDir: settings.dataDir, env, logger, mustExist })
  const print = (value: unknown): void => void stdout.write(`${JSON.stringify(value)}\n`)
  switch (command.name) {
    case 'token create': {
      const { text, record } = await makeToken(store, command.flags)
      const token = { ...record, revokedAt: undefined, lastUsedAt: undefined }
      if (json) print({ token: text, ...describeToken(token) })
      else {
        // The token alone is the answer, so that a script can take it; what it is, is said beside it.
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
    }
  }
  return EXIT.ok
}
