/**
 * TOML files for `loadSettings({ formats: [toml] })`. An entry of its own: it needs the package
 * `toml-eslint-parser`, which a program that reads no TOML does not install.
 */
import type { FileFormat } from './sources/file-text.ts'

/** Reads files that end with `.toml`, TOML 1.0. The parser is imported with the first one. */
export const toml: FileFormat = {
  extensions: ['.toml'],
  read: async (file) => {
    const { readTomlText } = await import('./sources/read-toml-text.ts')
    return readTomlText(file)
  },
}
