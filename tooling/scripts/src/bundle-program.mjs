// @ts-check
// The build of a program: its sources, our packages and their dependencies in one file of JavaScript, with
// a source map and the licences of what is not ours. A program of one file starts in a third of the time, and
// an installation of it has no other packages than the native modules, which stay outside.
//
//     node bundle-program.mjs              in the folder of a program: src/main.ts to dist/main.js
//     node bundle-program.mjs INPUT FILE   another file, for a test
import { existsSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { readManifest, ROOT } from './workspace.mjs'

/** Modules that are not JavaScript: a package of their own, loaded where it fits the platform. */
export const NATIVE_MODULES = ['bufferutil', 'utf-8-validate', /^@libsql\//]

/** An executable cannot contain the binary of libsql: it uses `node:sqlite`. */
const WITHOUT_LIBSQL = {
  name: 'without-libsql',
  resolveId: (/** @type {string} */ id) => (id === 'libsql' ? '\0libsql' : null),
  load: (/** @type {string} */ id) =>
    id === '\0libsql' ? "throw new Error('no libsql in an executable')" : null,
}

/**
 * An import of `node:http` reads all its exports. Newer versions of Node have classes of fetch among them, which
 * takes 20 ms of each start; a program that takes the module as an object does not load them.
 */
const HTTP_WITHOUT_FETCH = {
  name: 'http-without-fetch',
  resolveId: (
    /** @type {string} */ id,
    /** @type {string | undefined} */ _importer,
    /** @type {{ kind: string }} */ { kind },
  ) => (kind === 'import-statement' && /^(node:)?http$/.test(id) ? '\0http' : null),
  load: (/** @type {string} */ id) => (id === '\0http' ? moduleOfHttp() : null),
}

function moduleOfHttp() {
  const names = Object.entries(Object.getOwnPropertyDescriptors(http))
    .filter(([, { value }]) => value !== undefined) // the classes of fetch have getters
    .map(([name]) => name)
  return `const http = process.getBuiltinModule('node:http')
export default http
export const { ${names.join(', ')} } = http`
}

/** File beside the bundle with the licences of the packages in it. */
export const LICENCES_FILE = 'third-party-licences.txt'

/**
 * @typedef {object} BundledPackage
 * @property {string} name
 * @property {string} version
 * @property {string} license - an SPDX expression
 */

/**
 * Writes the program of an app as one file.
 *
 * @param {string} app - folder of the program
 * @param {string} folder - where `main.js`, its source map and the licences are written; emptied before
 * @param {{ define?: Record<string, string>, isExecutable?: boolean }} [options] - define: constants of the
 *   sources, by name; isExecutable: for one file together with Node, where SQLite is that of Node
 * @returns {Promise<BundledPackage[]>} packages of others that it contains, in order
 */
export async function bundleProgram(app, folder, { define = {}, isExecutable = false } = {}) {
  rmSync(folder, { recursive: true, force: true })
  const output = await bundleFile(join(app, 'src/main.ts'), join(folder, 'main.js'), {
    define,
    isExecutable,
  })
  for (const file of output) if (file.type === 'chunk') requireConstants(file.code)
  const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
  const packages = packagesOf(modules)
  writeFileSync(join(folder, LICENCES_FILE), [...packages.values()].map(licenceOf).join('\n'))
  return [...packages.values()].map((path) => {
    const { name, version, license } = readManifest(path)
    return { name, version, license }
  })
}

/**
 * Writes a file of a program, and what it imports, as one file.
 *
 * @param {string} input
 * @param {string} file - its folder is where the native modules are looked for
 * @param {{ define?: Record<string, string>, isExecutable?: boolean }} [options] - of {@link bundleProgram}
 */
async function bundleFile(input, file, { define = {}, isExecutable = false } = {}) {
  const bundle = await rolldown({
    input,
    platform: 'node',
    external: NATIVE_MODULES,
    plugins: isExecutable ? [HTTP_WITHOUT_FETCH, WITHOUT_LIBSQL] : [HTTP_WITHOUT_FETCH],
    // Rolldown adds import or require, as each is asked for.
    resolve: { conditionNames: ['@proj/source', 'node', 'module', 'default'] },
    transform: { target: 'node20.20', define },
  })
  const { output } = await bundle.write({
    file,
    format: 'esm',
    codeSplitting: false,
    sourcemap: !isExecutable,
    minify: isExecutable,
    sourcemapExcludeSources: true, // names and lines of a stack need the map alone
  })
  await bundle.close()
  return output
}

/** Packages whose code runs for each request or each chunk of a stream. */
const HOT = /\/packages\/(http1|mux|tunnel)\/src\//

/**
 * A module that an `import()` reaches, itself or by others, runs when it is asked for, and its constants become
 * variables of the bundle: the scanner of heads takes a third more instructions then. An `import()` is for packages
 * of others and for modules that import none of ours.
 *
 * @param {string} code - of a bundle, not minified: each module begins with its path in a comment
 * @throws {Error} naming the first such module whose speed matters
 */
export function requireConstants(code) {
  let module = ''
  for (const line of code.split('\n')) {
    module = /^\/\/ (\S+\.ts)$/.exec(line)?.[1] ?? module
    if (!HOT.test(module) || !/^(var|let) init_\S+ = \S*__esm/.test(line)) continue
    throw new Error(`${module} is reached by an import(): the bundle would not keep its constants`)
  }
}

/**
 * @param {string[]} modules - files
 * @returns {Map<string, string>} `name@version` → folder, of the packages that are not ours
 */
function packagesOf(modules) {
  /** @type {Map<string, string>} */
  const found = new Map()
  const folders = [
    ...modules
      .filter((name) => name.includes('/node_modules/'))
      .map((file) => packageOf(dirname(file))),
    ...(modules.some((name) => name.includes('/packages/pages/')) ? packagesOfPages() : []),
  ]
  for (const folder of folders) {
    const { name, version } = readManifest(folder)
    found.set(`${name}@${version}`, folder)
  }
  return new Map([...found].toSorted(([a], [b]) => a.localeCompare(b)))
}

/** The web pages are built before, by another bundler: what their scripts contain. */
function packagesOfPages() {
  const modules = join(ROOT, 'packages/pages/node_modules')
  const signals = realpathSync(join(modules, '@preact/signals'))
  return [realpathSync(join(modules, 'preact')), signals, join(dirname(signals), 'signals-core')]
}

/**
 * The package of a folder: some have manifests without a name in folders of theirs.
 *
 * @param {string} folder
 * @returns {string}
 */
function packageOf(folder) {
  const isPackage = existsSync(join(folder, 'package.json')) && readManifest(folder)['version']
  return isPackage ? folder : packageOf(dirname(folder))
}

/** @param {string} folder */
function licenceOf(folder) {
  const { name, version, license } = readManifest(folder)
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8').trim()
  return `${name} ${version}, ${license}\n\n${text}\n\n${'-'.repeat(80)}\n`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [input, file] = process.argv.slice(2)
  if (input !== undefined && file !== undefined) await bundleFile(input, file)
  else await bundleProgram(process.cwd(), join(process.cwd(), 'dist'))
}
