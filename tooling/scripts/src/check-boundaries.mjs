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
  'packages/pages': [],
  'packages/tunnel': ['dialer', 'mux'],
  'packages/auth': ['config', 'http1'],
  'packages/program-kit': ['config'],
  'packages/cluster': ['dialer', 'mux', 'portcheck', 'tunnel'],
}
const APPS_MAY_IMPORT = Object.keys(MAY_IMPORT).map((folder) => folder.replace('packages/', ''))

/** Entry points that every package may import, whatever the plan says of their package. */
const OPEN_TO_ALL = new Set(['config/address', 'config/nearest'])

/**
 * Entry points that are only for some importers.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const RESERVED = { 'tunnel/server': ['apps/server', 'packages/cluster'] }

/** What may stand in one kind of file only. */
const HOMES = [
  {
    pattern: /\bprocess\.(?:env|argv)\b/,
    // trust.ts of the dialer repeats what Node 20 itself reads for TLS: NODE_EXTRA_CA_CERTS.
    home: /\/src\/main\.ts$|^packages\/dialer\/src\/tls\/trust\.ts$/,
    rule: 'process.env and process.argv are read in main.ts only',
  },
  {
    pattern: /\.resetAndDestroy\b/,
    home: /^packages\/tunnel\/src\/io\/reset-socket\.ts$/,
    rule: 'a socket is reset through resetSocket only: it knows unix sockets and TLS',
  },
]

const IMPORT =
  /(?:^|\n)(?:import|export)\s(?:[^'"]*?\sfrom\s)?['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/g

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkBoundaries(root) {
  const packages = workspacePackages(root)
  const entries = new Map(
    packages.map((found) => {
      // Some are built, and have no source that is imported.
      const named = Object.keys(found.manifest.exports ?? {})
      return [found.manifest.name, new Set([...entryPoints(found).keys(), ...named])]
    }),
  )
  return packages
    .filter(({ folder }) => /^(?:apps|packages)\//.test(folder))
    .flatMap(({ folder, path }) =>
      filesBelow(join(path, 'src'), ['.ts']).flatMap((name) => {
        const file = `${folder}/src/${name}`
        const text = readFileSync(join(path, 'src', name), 'utf8')
        const imports = [...text.matchAll(IMPORT)].map(([, from, dynamic]) => from ?? dynamic ?? '')
        return [
          ...imports.flatMap((from) =>
            from.startsWith('.') ? checkRelative(name, from) : checkImport(folder, from, entries),
          ),
          ...checkHomes(file, withoutComments(text)),
        ].map((problem) => `${file}: ${problem}`)
      }),
    )
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
 */
function checkImport(folder, from, entries) {
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
  return OPEN_TO_ALL.has(entry) || allowed?.includes(target) ? [] : [`may not import ${from}`]
}

/**
 * @param {string} file
 * @param {string} code
 */
function checkHomes(file, code) {
  return HOMES.filter(({ pattern, home }) => pattern.test(code) && !home.test(file)).map(
    ({ rule }) => rule,
  )
}

/** @param {string} text */
function withoutComments(text) {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
