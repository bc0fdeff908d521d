/**
 * Tells when files change. Directories are watched, not files: editors replace files, and Kubernetes and
 * certbot swap symbolic links. Where a file is a link, the directory of its target is watched as well.
 */
import { watch, type FSWatcher } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** How long files must be left alone before they are read; editors write in several steps. */
const DEFAULT_QUIET_MS = 200

/** Quiet times after which they are read although their directory never comes to rest. */
const MAX_QUIET_TIMES = 10

/** What a {@link FileWatch} works with. */
export interface FileWatchOptions {
  /** Absolute paths; what does not exist yet may come. */
  readonly files: readonly string[]
  /** Called when one of them has changed. It must not throw; calls may overlap. */
  readonly onChange: () => void
  /** Time without further changes before `onChange` is called, ms. @default 200 */
  readonly quietMs?: number
}

/** Watches files until it is closed, without keeping the process alive. */
export class FileWatch {
  readonly #options: FileWatchOptions
  readonly #watchers = new Map<string, FSWatcher>()
  #files: readonly string[]
  #fingerprint: string | undefined
  #timer: NodeJS.Timeout | undefined
  /** When the first of the events came that are being waited out. */
  #firstEventMs: number | undefined
  #isClosed = false

  constructor(options: FileWatchOptions) {
    this.#options = options
    this.#files = options.files
  }

  /**
   * Starts; changes from now on are reported. Directories that do not exist are left out. Rejects
   * when another one cannot be watched, as when the system has no watches left.
   */
  async start(): Promise<void> {
    this.#fingerprint = await fingerprintOf(this.#files)
    await this.#watchDirectories()
  }

  /** Watches other files from now on. */
  async follow(files: readonly string[]): Promise<void> {
    if (
      files.length === this.#files.length &&
      files.every((file, at) => file === this.#files[at])
    ) {
      return
    }
    this.#files = files
    await this.start()
  }

  /** Closes all watchers; no change is reported afterwards. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  async #watchDirectories(): Promise<void> {
    const wanted = new Set(this.#files.map((file) => dirname(file)))
    for (const file of this.#files) {
      const target = await realpath(file).catch(() => file)
      wanted.add(dirname(target))
    }
    if (this.#isClosed) return
    for (const [directory, watcher] of this.#watchers) {
      if (wanted.has(directory)) continue
      watcher.close()
      this.#watchers.delete(directory)
    }
    for (const directory of wanted) {
      if (this.#watchers.has(directory)) continue
      const watcher = openWatcher(directory, () => this.#settle())
      if (!watcher) continue
      // A directory that disappears cannot be watched on; the next change tries again.
      watcher.on('error', () => {
        watcher.close()
        this.#watchers.delete(directory)
      })
      this.#watchers.set(directory, watcher)
    }
  }

  #settle(): void {
    const quietMs = this.#options.quietMs ?? DEFAULT_QUIET_MS
    const now = performance.now()
    this.#firstEventMs ??= now
    // A log in the same directory must not put it off for ever.
    if (now - this.#firstEventMs > quietMs * MAX_QUIET_TIMES) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#tellIfChanged(), quietMs)
    // The files matter to a process that lives for other reasons.
    this.#timer.unref()
  }

  /** Cannot reject but for directories that cannot be watched, which is no reason to stop. */
  async #tellIfChanged(): Promise<void> {
    this.#firstEventMs = undefined
    const fingerprint = await fingerprintOf(this.#files)
    if (this.#isClosed || fingerprint === this.#fingerprint) return
    this.#fingerprint = fingerprint
    await this.#watchDirectories().catch(() => {})
    if (!this.#isClosed) this.#options.onChange()
  }
}

/**
 * What tells two versions of files apart without reading them. Other files in a watched directory change all
 * the time; this tells whether ours did.
 */
export async function fingerprintOf(files: readonly string[]): Promise<string> {
  const parts = await Promise.all(
    files.map(async (file) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = await stat(file)
        return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
      } catch {
        return 'absent'
      }
    }),
  )
  return parts.join('\n')
}

/** Watches a directory; undefined when there is none, as with optional files. */
function openWatcher(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    return watch(directory, { persistent: false }, onEvent)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
