// @ts-check
// What a package adds to a bundled program: minified, with all its dependencies, by rolldown. The limits
// are in bundle-limits.json, in kB (1000 bytes): [minified, with gzip]. A row `*` is everything that a
// package exports, `./path` everything of a subpath. A row `name` is a program that imports this name
// only, without what it loads on demand. The README of the package has the same numbers.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

/** @typedef {readonly [minifiedKb: number, gzipKb: number]} Sizes */
/** @typedef {Readonly<Record<string, Readonly<Record<string, Sizes>>>>} BundleLimits */

/** @type {BundleLimits} */
export const BUNDLE_LIMITS = JSON.parse(
  readFileSync(join(import.meta.dirname, 'bundle-limits.json'), 'utf8'),
)

/** A limit that is this much above the measured size says nothing any more: it has to be lowered. */
const SLACK = { factor: 1.2, kb: 1 }

const ENTRY = 'bundled-program.js'

/**
 * Bundles programs that import from the packages installed in a folder, and returns what is wrong with
 * their sizes. A program that imports a package without a name must be empty.
 *
 * @param {string} folder - has the packages in its node_modules
 * @param {string} name - of a package
 * @param {BundleLimits} limits
 * @returns {Promise<string[]>}
 */
export async function bundleProblems(folder, name, limits) {
  const rows = Object.entries(limits[name] ?? {})
  if (!rows.some(([row]) => row === '*')) return [`bundle-limits.json has no row * for ${name}`]
  /** @type {string[]} */
  const problems = []
  const [unused] = await bundleSizes(folder, `import '${name}'`)
  // an empty module is `export {};`
  if (unused > 0.1) {
    problems.push(`${name}: ${unused} kB stay in a program that uses nothing of it`)
  }
  for (const [row, limit] of rows) {
    const measured = await bundleSizes(folder, importOf(name, row), isWhole(row))
    for (const [index, kind] of ['minified', 'with gzip'].entries()) {
      const kb = measured[index] ?? Number.NaN
      const most = limit[index] ?? Number.NaN
      const found = `${name} ${row}: ${kb} kB ${kind}, and bundle-limits.json says ${most}`
      if (!(kb <= most)) problems.push(`${found}: too large`)
      else if (most > kb * SLACK.factor + SLACK.kb) problems.push(`${found}: lower the limit`)
    }
  }
  return problems
}

/**
 * Returns what is wrong with the sentence about the size in the README of a package.
 *
 * @param {string} path - folder of the package
 * @param {string} name - of the package
 * @param {BundleLimits} limits
 */
export function readmeSizeProblems(path, name, limits) {
  const readme = join(path, 'README.md')
  if (!existsSync(readme)) return []
  const wanted = sizeSentence(limits[name] ?? {})
  return readFileSync(readme, 'utf8').includes(wanted)
    ? []
    : [`${readme} lacks the sentence: ${wanted}`]
}

/** @param {Readonly<Record<string, Sizes>>} rows */
export function sizeSentence(rows) {
  const texts = Object.entries(rows).map(([row, [minified, gzip]]) => ({
    whole: isWhole(row),
    text: `${row === '*' ? 'everything' : `\`${row.replace('./', '/')}\``} ${minified} kB (${gzip} kB)`,
  }))
  const listed = (/** @type {boolean} */ whole) =>
    texts.flatMap((row) => (row.whole === whole ? [row.text] : [])).join(', ')
  return `In a bundle, with dependencies, minified (with gzip), at most: ${listed(true)}. Loaded at the start when only one name is imported: ${listed(false)}.`
}

/** @param {string} row */
function isWhole(row) {
  return row === '*' || row.startsWith('./')
}

/**
 * @param {string} name
 * @param {string} row
 */
function importOf(name, row) {
  if (row === '*') return `export * from '${name}'`
  if (row.startsWith('./')) return `export * from '${name}${row.slice(1)}'`
  return `export { ${row} } from '${name}'`
}

/**
 * @param {string} folder
 * @param {string} text - of the program
 * @param {boolean} [whole] - with what it loads on demand
 * @returns {Promise<[minifiedKb: number, gzipKb: number]>} to a tenth
 */
async function bundleSizes(folder, text, whole = false) {
  const path = join(folder, ENTRY)
  const bundle = await rolldown({
    input: path,
    platform: 'node',
    plugins: [
      {
        name: 'program',
        load: (id) => (id === path ? text : null),
        resolveId: (id) => (id === path ? path : null),
      },
    ],
    onLog(_level, log) {
      // otherwise it would count as small
      if (log.code === 'UNRESOLVED_IMPORT') throw new Error(log.message)
    },
  })
  try {
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    const chunks = output.filter((file) => file.type === 'chunk')
    const started = new Set(chunks.filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName))
    // a Set is walked to its end, also while it grows
    for (const name of started) {
      const imports = chunks.find(({ fileName }) => fileName === name)?.imports ?? []
      for (const next of imports) started.add(next)
    }
    const counted = chunks
      .filter(({ fileName }) => whole || started.has(fileName))
      .map(({ code }) => code)
    const sum = (/** @type {(code: string) => number} */ size) =>
      tenths(counted.reduce((total, code) => total + size(code), 0))
    return [sum((code) => Buffer.byteLength(code)), sum((code) => gzipSync(code).length)]
  } finally {
    await bundle.close()
  }
}

/** @param {number} bytes */
function tenths(bytes) {
  return Math.ceil(bytes / 100) / 10
}
