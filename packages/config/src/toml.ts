/**
 * TOML files for `loadSettings({ formats: [toml] })`. An entry of its own: it needs the package
 * `toml-eslint-parser`, which a program that reads no TOML does not install.
 */
import type { FileFormat } from './sources/file-text.ts'

/** Reads files that end with `.toml`, TOML 1.0. The parser is imported with the first one. */
export const toml: FileFormat = {
  extensions: ['.toml'],
  read: async (file) => {
    const { readTomlText } = await import('./sources/read-toml-text.ts').catch(withInstall)
    return readTomlText(file)
  },
}

/** A missing package is a mistake of the program, not of the file. */
function withInstall(cause: unknown): never {
  const { code } = cause as { readonly code?: unknown }
  if (code !== 'ERR_MODULE_NOT_FOUND') throw cause
  throw new Error('TOML needs a parser: npm install toml-eslint-parser', { cause })
}
