/** Pages of the operator that browsers get in place of ours, by code or status of the error. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { EXIT, readRegularFile, UserError } from '@proj/program-kit'

/** Largest page, bytes. */
const MAX_PAGE_BYTES = 65_536
/** Pages in one folder. */
const MAX_PAGES = 200
/** `no_upstream.html`, `502.html`, `default.html`. */
const NAME = /^([a-z][a-z0-9_]{0,63}|[45]\d\d)\.html$/

/** The pages of `proxy.error_pages`. */
export class ErrorPages {
  /** For an operator that has none. */
  static readonly none = new ErrorPages(undefined, new Map())

  /** Where they were read; undefined: there are none. */
  readonly folder: string | undefined
  readonly #pages: ReadonlyMap<string, string>

  private constructor(folder: string | undefined, pages: ReadonlyMap<string, string>) {
    this.folder = folder
    this.#pages = pages
  }

  /**
   * Reads the pages of a folder; files with other names are left alone.
   *
   * @param folder - undefined: there are none.
   * @throws {UserError} when the folder or a page cannot be read, or a page is too large.
   */
  static async read(folder: string | undefined): Promise<ErrorPages> {
    if (folder === undefined) return ErrorPages.none
    const pages = new Map<string, string>()
    for (const name of await namesIn(folder)) {
      const key = NAME.exec(name)?.[1]
      if (key === undefined) continue
      if (pages.size >= MAX_PAGES) throw mistake(folder, `it has more than ${MAX_PAGES} pages`)
      pages.set(key, await pageIn(join(folder, name)))
    }
    return new ErrorPages(folder, pages)
  }

  /** The page for an error: of its code, else of its status, else the one for all. */
  find(code: string, status: number): string | undefined {
    const pages = this.#pages
    return pages.get(code) ?? pages.get(String(status)) ?? pages.get('default')
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    throw mistake(folder, error)
  }
}

async function pageIn(path: string): Promise<string> {
  try {
    return (await readRegularFile(path, MAX_PAGE_BYTES)).toString()
  } catch (error) {
    throw mistake(path, error)
  }
}

function mistake(path: string, error: unknown): UserError {
  const why = error instanceof Error ? error.message : String(error)
  return new UserError(`proxy.error_pages: ${path}: ${why}`, {
    code: 'CONFIG_FILE_UNREADABLE',
    exitCode: EXIT.usage,
    hint: 'give a folder with pages such as default.html, 503.html and no_upstream.html',
  })
}
