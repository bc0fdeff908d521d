// A directory that lives as long as a `using` block.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A directory of one test. */
export interface TemporaryDirectory {
  /** Its absolute path. */
  readonly path: string
  /** Writes a file below it, making the folders on the way, and returns the absolute path. */
  write(name: string, content: string | Uint8Array, mode?: number): string
  /** Removes it with everything in it. */
  [Symbol.dispose](): void
}

/** Makes an empty directory: `using directory = temporaryDirectory()`. */
export function temporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), 'adit-test-'))
  return {
    path,
    write(name, content, mode = 0o600) {
      const file = join(path, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content, { mode })
      return file
    },
    [Symbol.dispose]() {
      rmSync(path, { recursive: true, force: true })
    },
  }
}
