import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'

/** The package compiled to JavaScript, for tests that use it in another process. */
export interface BuiltPackage {
  /** Its entry. */
  readonly entry: string
  /** Removes it. */
  remove(): void
}

/** Compiles the package into a folder of this process. Its dependencies must have been built. */
export function builtPackage(): BuiltPackage {
  const packageFolder = join(import.meta.dirname, '..')
  // Below node_modules, where it finds the dependencies and is not committed.
  const folder = join(packageFolder, 'node_modules', `.built-${process.pid}`)
  const emitNoTypes = ['--declaration', 'false', '--declarationMap', 'false']
  execFileSync(
    join(packageFolder, 'node_modules', '.bin', 'tsc'),
    [
      '-p',
      'tsconfig.build.json',
      '--outDir',
      folder,
      '--isolatedDeclarations',
      'false',
      ...emitNoTypes,
    ],
    { cwd: packageFolder },
  )
  return {
    entry: join(folder, 'index.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
