// @ts-check
// Watches folders of sources, and tells once per burst what has changed: an editor, a formatter or a
// checkout writes many files at a time.
import { watch } from 'node:fs'
import { join } from 'node:path'

const QUIET_MS = 100
const SOURCE = /\.(?:ts|json)$/

/**
 * Calls back with the changed files whenever there was a change and then no other for `quietMs`
 * (default 100).
 *
 * @param {readonly string[]} folders
 * @param {(files: string[]) => void} onChange
 * @param {number} [quietMs]
 * @returns {() => void} ends the watch
 */
export function watchSources(folders, onChange, quietMs = QUIET_MS) {
  /** @type {Set<string>} */
  const changed = new Set()
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  const watchers = folders.map((folder) => {
    const watcher = watch(folder, { recursive: true }, (_, name) => {
      if (name === null || !SOURCE.test(name)) return
      changed.add(join(folder, name))
      clearTimeout(timer)
      timer = setTimeout(() => {
        const files = [...changed].toSorted()
        changed.clear()
        onChange(files)
      }, quietMs)
    })
    watcher.on('error', () => {}) // a folder that is removed while it is read
    return watcher
  })
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  }
}
