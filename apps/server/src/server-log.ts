import { createLogger, type Invocation, LogRate } from '@proj/program-kit'

import type { OwnCommands } from './commands/commands.ts'
import type { ServerTree } from './settings.ts'

/** The log of the server, and what bounds it. */
export interface ServerLog extends Disposable {
  readonly logger: ReturnType<typeof createLogger>
  readonly rate: LogRate
}

/** Opens the log that the settings describe. */
export function openLog({
  loaded,
  colour,
  around,
}: Pick<Invocation<ServerTree, OwnCommands>, 'loaded' | 'colour' | 'around'>): ServerLog {
  const { level, format, rate: most } = loaded.settings.log
  const rate = new LogRate((most.amount * 60_000) / most.periodMs)
  const logger = createLogger({ level, format, rate, stream: around.stderr, colour })
  return { logger, rate, [Symbol.dispose]: () => rate[Symbol.dispose]() }
}
