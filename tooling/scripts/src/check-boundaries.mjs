// @ts-check
// Who may import whom. Each package can be used alone, so it knows as few others as possible; the
// apps join them all. A call that must be made with care has one home.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { entryPoints } from './entry-points.mjs'
import { filesBelow, workspacePackages } from './workspace.mjs'

const SCOPE = '@proj/'

/**
 * The plan: for each package, the packages whose entry points it may import.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const MAY_IMPORT = {
  'packages/config': [],
  'packages/mux': [],
  'packages/dialer': [],
  'packages/portcheck': [],
  'packages/http1': [],
  'packages/tunnel': ['dialer', 'mux'],
  'packages/auth': ['config', 'http1'],
  'packages/program-kit': ['config'],
}
const APPS_MAY_IMPORT = Object.keys(MAY_IMPORT).map((folder) => folder.replace('packages/', ''))

/** Entry points that every package may import, whatever the plan says of their package. */
const OPEN_TO_ALL = new Set(['config/address'])

/**
 * Entry points that are only for some importers.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const RESERVED = { 'tunnel/server': ['apps/server'] }

/** What may stand in one kind of file only. */
const HOMES = [
  {
    pattern: /\bprocess\.(?:env|argv)\b/,
    home: /\/src\/main\.ts$/,
    rule: 'process.env and process.argv are read in main.ts only',
  },
  {
    pattern: /\.resetAndDestroy\b/,
    home: /^packages\/tunnel\/src\/io\/reset-socket\.ts$/,
    rule: 'a socket is reset through resetSocket only: it knows unix sockets and TLS',
  },
]

/**
 * Known breaches of the rules above, by importer or file. One that no file needs any more is itself a
 * problem, so the list can only shrink.
 *
 * @typedef {object} Exceptions
 * @property {Readonly<Record<string, readonly string[]>>} imports
 * @property {readonly string[]} homes
 */

/** @type {Exceptions} */
const EXCEPTIONS = {
  imports: {},
  homes: ['packages/auth/src/visitors/gated-service.ts'],
}

const IMPORT =
  /(?:^|\n)(?:import|export)\s(?:[^'"]*?\sfrom\s)?['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/g

/**
 * @param {string} root
 * @param {Exceptions} [exceptions]
 * @returns {string[]} problems
 */
export function checkBoundaries(root, exceptions = EXCEPTIONS) {
  const packages = workspacePackages(root)
  const entries = new Map(
    packages.map((found) => [found.manifest.name, new Set(entryPoints(found).keys())]),
  )
  /** @type {Set<string>} exceptions that a file needed */
  const needed = new Set()
  const problems = packages
    .filter(({ folder }) => /^(?:apps|packages)\//.test(folder))
    .flatMap(({ folder, path }) =>
      filesBelow(join(path, 'src'), ['.ts']).flatMap((name) => {
        const file = `${folder}/src/${name}`
        const text = readFileSync(join(path, 'src', name), 'utf8')
        const imports = [...text.matchAll(IMPORT)].map(([, from, dynamic]) => from ?? dynamic ?? '')
        return [
          ...imports.flatMap((from) =>
            from.startsWith('.')
              ? checkRelative(name, from)
              : checkImport(folder, from, entries, exceptions, needed),
          ),
          ...checkHomes(file, withoutComments(text), exceptions, needed),
        ].map((problem) => `${file}: ${problem}`)
      }),
    )
  return [...problems, ...unneeded(exceptions, needed)]
}

/**
 * @param {string} name - of the importing file below src
 * @param {string} from
 */
function checkRelative(name, from) {
  if (from === '../package.json') return []
  return join('src', dirname(name), from).startsWith('src/') ? [] : [`${from} leaves src`]
}

/**
 * @param {string} folder - of the importing package
 * @param {string} from
 * @param {Map<string, Set<string>>} entries - entry points by package name
 * @param {Exceptions} exceptions
 * @param {Set<string>} needed
 */
function checkImport(folder, from, entries, exceptions, needed) {
  if (!from.startsWith(SCOPE)) return []
  const [target = '', ...deeper] = from.slice(SCOPE.length).split('/')
  const entry = [target, ...deeper].join('/')
  const subpath = ['.', ...deeper].join('/')
  if (deeper.length > 0 && !entries.get(SCOPE + target)?.has(subpath)) {
    return [`${from} is not an entry point of ${SCOPE}${target}`]
  }
  if (RESERVED[entry] && !RESERVED[entry].includes(folder)) {
    return [`${from} is for ${RESERVED[entry].join(', ')} only`]
  }
  const allowed = folder.startsWith('apps/') ? APPS_MAY_IMPORT : MAY_IMPORT[folder]
  if (OPEN_TO_ALL.has(entry) || allowed?.includes(target)) return []
  if (!exceptions.imports[folder]?.includes(target)) return [`may not import ${from}`]
  needed.add(`${folder} ${target}`)
  return []
}

/**
 * @param {string} file
 * @param {string} code
 * @param {Exceptions} exceptions
 * @param {Set<string>} needed
 */
function checkHomes(file, code, exceptions, needed) {
  const strays = HOMES.filter(({ pattern, home }) => pattern.test(code) && !home.test(file))
  if (strays.length === 0 || !exceptions.homes.includes(file)) return strays.map(({ rule }) => rule)
  needed.add(file)
  return []
}

/**
 * @param {Exceptions} exceptions
 * @param {Set<string>} needed
 */
function unneeded({ imports, homes }, needed) {
  return [
    ...Object.entries(imports).flatMap(([folder, targets]) =>
      targets.map((target) => `${folder} ${target}`),
    ),
    ...homes,
  ]
    .filter((exception) => !needed.has(exception))
    .map((exception) => `check-boundaries.mjs: the exception "${exception}" is not needed any more`)
}

/** @param {string} text */
function withoutComments(text) {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
