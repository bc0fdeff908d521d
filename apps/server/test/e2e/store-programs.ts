// Programs of the tests that use the store without the rest of the server. They are bundled, since Node runs
// no TypeScript and the server is one file; they start much faster than it.
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const BUNDLER = createRequire(import.meta.url).resolve('@proj/scripts/bundle-program')

/**
 * Bundles one of the files beside this one.
 *
 * @param name - without `.mjs`.
 * @returns the file to run, in a folder from which the binary of libsql is found.
 */
export function storeProgram(name: string): string {
  const input = fileURLToPath(new URL(`${name}.mjs`, import.meta.url))
  const file = fileURLToPath(new URL(`../../node_modules/.tests/${name}.mjs`, import.meta.url))
  execFileSync(process.execPath, [BUNDLER, input, file])
  return file
}
