import {
  type LoadedSettings,
  type ReloadOutcome,
  type Settings,
  type SettingsChange,
  SettingsReloader,
  type SettingsTree,
} from '@proj/config'

import type { Invocation } from '../command-line/run-command-line.ts'
import type { createLogger } from '../output/logger.ts'
import type { CommandList } from '../command-line/standard-commands.ts'

/** How a program takes new settings. */
export interface ReloadingOptions<Tree extends SettingsTree> {
  /** Definition of the settings. */
  readonly settings: Settings<Tree>
  /** Told of every reload. */
  readonly logger: ReturnType<typeof createLogger>
  /**
   * Puts the live changes into effect, or throws and leaves everything as it was.
   *
   * @param loaded - the new settings.
   */
  readonly apply: (
    loaded: LoadedSettings<Tree>,
    changes: readonly SettingsChange[],
  ) => void | Promise<void>
}

/**
 * Takes new settings on SIGHUP and when a file changes, until disposed. A program without a file has
 * nothing to take, and SIGHUP ends it as ever.
 */
export async function reloading<Tree extends SettingsTree, List extends CommandList>(
  { loaded, load, around }: Invocation<Tree, List>,
  { settings, logger, apply }: ReloadingOptions<Tree>,
): Promise<AsyncDisposable> {
  const tell = (outcome: ReloadOutcome<Tree>): void => {
    switch (outcome.kind) {
      case 'unchanged':
        logger.info('configuration read again, nothing changed')
        return
      case 'changed':
        for (const { key, kind, reload, before, after } of outcome.changes) {
          const values = { key, change: kind, before, after }
          if (reload === 'live') logger.info(values, 'configuration changed')
          else logger.warn(values, 'configuration changed, it needs a restart to take effect')
        }
        return
      case 'invalid':
        for (const { code, key, origin, message, hint } of outcome.problems) {
          logger.error({ code, key, origin, why: message, hint }, 'new configuration refused')
        }
        return
      case 'failed':
        logger.error({ err: outcome.error }, 'new configuration not applied')
    }
  }
  const reloader = new SettingsReloader<Tree>({
    settings,
    initial: loaded,
    load,
    apply: (changes, next) => apply(next, changes),
    onOutcome: tell,
  })
  if (loaded.files.length === 0) return reloader
  around.signals.onReload(() => void reloader.reload().then(tell))
  try {
    await reloader.watch()
  } catch (error) {
    logger.warn({ err: error }, 'files are not watched; SIGHUP reads them again')
  }
  return reloader
}
