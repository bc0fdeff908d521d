/**
 * Keeps the settings of a running process up to date. A reload is all or nothing: the new files are
 * loaded and checked as a whole, and only then the differences are handed over. While anything is
 * wrong, everything stays as it was.
 */
import type { SettingsInfo } from '../definition/define-settings.ts'
import { diffSettings, type SettingsChange } from './diff-settings.ts'
import { FileWatch, fingerprintOf } from './file-watch.ts'
import type { Loaded, LoadedSettings } from '../sources/load-settings.ts'
import type { Problem } from '../sources/problem.ts'
import type { SettingsTree } from '../definition/settings-tree.ts'

/** Loads at most of one reload, when the files change while they are read. */
const MAX_LOADS = 5

/** What came of a reload. */
export type ReloadOutcome<Tree extends SettingsTree> =
  /** The files say what they said before. */
  | { readonly kind: 'unchanged' }
  /** The new settings were applied. */
  | {
      readonly kind: 'changed'
      readonly changes: readonly SettingsChange[]
      readonly loaded: LoadedSettings<Tree>
    }
  /** The new files are wrong; everything stayed as it was. */
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  /** Loading or applying threw; what was applied before stays the current settings. */
  | { readonly kind: 'failed'; readonly error: unknown }

/** What a {@link SettingsReloader} works with. */
export interface ReloaderOptions<Tree extends SettingsTree> {
  /** Definition of the settings. */
  readonly settings: SettingsInfo
  /** What the process started with. */
  readonly initial: LoadedSettings<Tree>
  /** Loads everything again, as at the start. */
  readonly load: (options: { readonly signal: AbortSignal }) => Promise<Loaded<Tree>>
  /**
   * Puts changes into effect, those with `reload: live`; the others need a restart and are there to
   * be named. Reloads wait for it, one at a time.
   */
  readonly apply: (
    changes: readonly SettingsChange[],
    loaded: LoadedSettings<Tree>,
  ) => void | Promise<void>
  /** Told the outcome of every reload that a watched file caused, but `unchanged`. */
  readonly onOutcome?: (outcome: ReloadOutcome<Tree>) => void
  /** How long files must be left alone before they are read, in milliseconds. @default 200 */
  readonly quietMs?: number
}

/** Reloads settings when asked to, and when files change. */
export class SettingsReloader<Tree extends SettingsTree> {
  readonly #options: ReloaderOptions<Tree>
  readonly #abort = new AbortController()
  readonly #watch: FileWatch
  #current: LoadedSettings<Tree>
  #running: Promise<unknown> = Promise.resolve()
  #watching = false

  constructor(options: ReloaderOptions<Tree>) {
    this.#options = options
    this.#current = options.initial
    const { quietMs } = options
    this.#watch = new FileWatch({
      files: options.initial.files,
      onChange: () => void this.#reloadAndTell(),
      ...(quietMs !== undefined && { quietMs }),
    })
  }

  /** The settings in effect. */
  get current(): LoadedSettings<Tree> {
    return this.#current
  }

  /** Loads, compares and applies; never rejects. Calls queue up behind one another. */
  reload(): Promise<ReloadOutcome<Tree>> {
    const outcome = this.#running.then(() => this.#reloadOnce())
    this.#running = outcome
    return outcome
  }

  /**
   * Begins to watch the files the settings came from, without keeping the process alive. Directories
   * that do not exist are left out. Rejects when another one cannot be watched, as when the system
   * has no watches left; {@link SettingsReloader.reload} works all the same.
   */
  async watch(): Promise<void> {
    this.#watching = true
    await this.#watch.start()
  }

  /** Stops watching and aborts a load that is under way. Resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#watching = false
    this.#watch.close()
    this.#abort.abort()
    await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #reloadOnce(): Promise<ReloadOutcome<Tree>> {
    const { settings, apply } = this.#options
    try {
      const loaded = await this.#loadSettled()
      if (!loaded.ok) return { kind: 'invalid', problems: loaded.problems }
      const changes = diffSettings(settings, this.#current.settings, loaded.settings)
      if (changes.length > 0) await apply(changes, loaded)
      this.#current = loaded
      if (this.#watching) await this.#watch.follow(loaded.files)
      return changes.length > 0 ? { kind: 'changed', changes, loaded } : { kind: 'unchanged' }
    } catch (error) {
      return { kind: 'failed', error }
    }
  }

  /** An editor that rewrites a file in place empties it first: a file that changes meanwhile is read again. */
  async #loadSettled(): Promise<Loaded<Tree>> {
    const { signal } = this.#abort
    const { files } = this.#current
    let before = await fingerprintOf(files)
    for (let count = 1; ; count += 1) {
      const loaded = await this.#options.load({ signal })
      signal.throwIfAborted()
      const after = await fingerprintOf(files)
      if (after === before || count === MAX_LOADS) return loaded
      before = after
    }
  }

  /** Cannot reject: `reload` returns errors. */
  async #reloadAndTell(): Promise<void> {
    const outcome = await this.reload()
    if (outcome.kind !== 'unchanged' && this.#watching) this.#options.onOutcome?.(outcome)
  }
}
