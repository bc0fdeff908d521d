// @ts-check
// The build of the pages: Vite makes their files, and those become one module of bytes for each page, so that
// a program of one file has them too. Run in the folder of the package.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

/** The most that the scripts of a page may have, bytes with gzip. */
export const MAX_SCRIPT_BYTES = 60_000

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
}

const folder = import.meta.dirname ?? dirname(new URL(import.meta.url).pathname)
const dist = join(folder, 'dist')
rmSync(dist, { recursive: true, force: true })
// The programs have a page each: a module of its own keeps the other one out of them.
await buildPage('inspector', 'index.js')
await buildPage('console', 'console.js')

/**
 * Builds one page.
 *
 * @param {string} name - of its folder, and of what the module exports: `nameAssets`
 * @param {string} module - file below dist
 */
async function buildPage(name, module) {
  const files = join(dist, name)
  await build({
    configFile: false,
    logLevel: 'warn',
    root: join(folder, 'src', name),
    base: './',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: files,
      emptyOutDir: true,
      target: 'es2022',
      modulePreload: false,
      assetsInlineLimit: 0,
    },
  })
  writeFileSync(
    join(files, 'licences.txt'),
    ['preact', '@preact/signals', '@preact/signals-core'].map(licenceOf).join('\n'),
  )
  const assets = readdirSync(files, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const file = join(entry.parentPath, entry.name)
      const path = relative(files, file).replaceAll('\\', '/')
      return { path, type: typeOf(path), gzip: gzipSync(readFileSync(file), { level: 9 }) }
    })
  const scripts = assets.filter(({ path }) => path.endsWith('.js'))
  const bytes = scripts.reduce((sum, { gzip }) => sum + gzip.length, 0)
  if (bytes > MAX_SCRIPT_BYTES) {
    throw new Error(`the scripts of ${name} have ${bytes} bytes, limit ${MAX_SCRIPT_BYTES}`)
  }
  const entries = assets.map(
    ({ path, type, gzip }) =>
      `  { path: '${path}', type: '${type}', isHashed: ${path.startsWith('assets/')}, gzip: Buffer.from('${gzip.toString('base64')}', 'base64') },`,
  )
  writeFileSync(
    join(dist, module),
    [
      "import { Buffer } from 'node:buffer'",
      `export const ${name}Assets = [`,
      ...entries,
      ']',
      '',
    ].join('\n'),
  )
}

/** @param {string} path */
function typeOf(path) {
  const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(path))]
  if (type === undefined) throw new Error(`no media type for ${path}`)
  return type
}

/**
 * The licence of a package that is part of the scripts.
 *
 * @param {string} name
 */
function licenceOf(name) {
  const require = createRequire(
    name.endsWith('-core') ? require0('@preact/signals') : import.meta.url,
  )
  const home = packageFolder(require.resolve(name), name)
  return `${name}\n\n${readFileSync(join(home, 'LICENSE'), 'utf8')}\n`
}

/** @param {string} name */
function require0(name) {
  return createRequire(import.meta.url).resolve(name)
}

/**
 * @param {string} file
 * @param {string} name
 * @returns {string}
 */
function packageFolder(file, name) {
  for (let at = dirname(file); at !== dirname(at); at = dirname(at)) {
    try {
      if (JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')).name === name) return at
    } catch {
      // no package
    }
  }
  throw new Error(`${name} has no folder`)
}
