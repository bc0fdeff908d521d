// VitePress finds links to pages that are not there, but not links to headings that are not there.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/**
 * Lists the links of a built site whose page, or heading in it, is not there.
 *
 * @param {string} site - folder of the site
 * @returns {string[]} `PAGE: LINK`
 */
export function deadFragments(site) {
  const pages = readdirSync(site, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.html'))
    .map((name) => join(site, name))
  const texts = new Map(pages.map((page) => [page, readFileSync(page, 'utf8')]))
  const headings = new Map(
    pages.map((page) => [page, new Set(matches(texts.get(page) ?? '', / id="([^"]+)"/g))]),
  )
  return pages.flatMap((page) =>
    matches(texts.get(page) ?? '', /<a [^>]*?href="([^":]*#[^"]+)"/g)
      .filter((link) => {
        const [path = '', fragment = ''] = link.split('#')
        const target = path === '' ? page : fileOf(site, page, path)
        return !headings.get(target)?.has(decodeURIComponent(fragment))
      })
      .map((link) => `${page.slice(site.length + 1)}: ${link}`),
  )
}

/**
 * @param {string} site
 * @param {string} page
 * @param {string} path
 */
function fileOf(site, page, path) {
  const file = path.startsWith('/') ? join(site, path) : resolve(dirname(page), path)
  return existsSync(join(file, 'index.html')) ? join(file, 'index.html') : file
}

/**
 * @param {string} text
 * @param {RegExp} pattern
 */
function matches(text, pattern) {
  return [...text.matchAll(pattern)].map(([, group = '']) => group)
}
