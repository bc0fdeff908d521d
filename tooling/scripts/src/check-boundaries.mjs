// @ts-check
// Who may know whom. The packages stand alone so that each can be used alone: mux, dialer,
// portcheck, config and http1 do not import one another, save that dialer and portcheck use the
// address grammar of config. tunnel joins mux and dialer, program-kit is what the two
// programs share; the apps join everything.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesBelow, workspacePackages } from './workspace.mjs'

const APP_IMPORTS = [
  'auth',
  'config',
  'dialer',
  'http1',
  'mux',
  'portcheck',
  'program-kit',
  'tunnel',
]
/** @type {Readonly<Record<string, readonly string[]>>} */
const ALLOWED = {
  'packages/auth': ['config', 'http1'],
  'packages/config': [],
  'packages/program-kit': ['config'],
  'packages/dialer': ['config'],
  'packages/http1': [],
  'packages/mux': [],
  'packages/portcheck': ['config'],
  'packages/tunnel': ['dialer', 'mux'],
  'apps/agent': APP_IMPORTS,
  'apps/server': APP_IMPORTS,
}
// the files of config that make up the address grammar, with the errors it throws
const GRAMMAR_FILE = /^\.\/(?:address\/[\w-]+|errors)\.ts$/
const GRAMMAR_INDEX = 'packages/config/src/index.ts'
const ADDRESS_ONLY = new Set(['packages/dialer', 'packages/portcheck'])
const IMPORT =
  /(?:^|\n)(?:import|export)\s(?:([^'"]*?)\sfrom\s)?['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/g
const AMBIENT = /\bprocess\.(?:env|argv)\b/

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkBoundaries(root) {
  const grammar = addressGrammar(root)
  const packages = workspacePackages(root)
  const published = new Set(packages.flatMap(publishedEntries))
  return packages
    .filter(({ folder }) => /^(?:apps|packages)\//.test(folder))
    .flatMap(({ folder, path }) =>
      filesBelow(join(path, 'src'), ['.ts']).flatMap((file) => {
        const text = readFileSync(join(path, 'src', file), 'utf8')
        const problems = [...text.matchAll(IMPORT)].flatMap(([, names = '', from, dynamic]) =>
          checkImport(folder, file, { grammar, published }, names, from ?? dynamic ?? ''),
        )
        if (AMBIENT.test(withoutComments(text)) && file !== 'main.ts') {
          problems.push('process.env and process.argv are read in main.ts only')
        }
        return problems.map((problem) => `${folder}/src/${file}: ${problem}`)
      }),
    )
}

/**
 * @param {string} folder
 * @param {string} file
 * @param {{ grammar: Set<string>, published: Set<string> }} known
 * @param {string} names - between `import` and `from`
 * @param {string} from
 */
function checkImport(folder, file, { grammar, published }, names, from) {
  if (from === '../package.json') return []
  if (from.startsWith('.')) {
    return join('src', dirname(file), from).startsWith('src/') ? [] : [`${from} leaves src`]
  }
  if (!from.startsWith('@proj/')) return []
  const [target = '', ...deeper] = from.slice('@proj/'.length).split('/')
  if (!ALLOWED[folder]?.includes(target)) return [`must not know ${from}`]
  if (deeper.length > 0 && !published.has(from)) {
    return [`${from}: packages are imported by their name, or by an entry they publish`]
  }
  if (!ADDRESS_ONLY.has(folder)) return []
  const stray = namesOf(names).filter((name) => !grammar.has(name))
  return stray.map((name) => `${name}: of ${from} only the address grammar is used here`)
}

/**
 * What a package may be imported by beside its name: the entries of its exports map.
 *
 * @param {import('./workspace.mjs').WorkspacePackage} found
 */
function publishedEntries({ manifest }) {
  return Object.keys(manifest.exports ?? {}).map((entry) => `${manifest.name}${entry.slice(1)}`)
}

/**
 * Names that config exports from the files of its address grammar.
 *
 * @param {string} root
 */
function addressGrammar(root) {
  const index = join(root, GRAMMAR_INDEX)
  const text = existsSync(index) ? readFileSync(index, 'utf8') : ''
  const exported = [...text.matchAll(IMPORT)].filter(([, , from = '']) => GRAMMAR_FILE.test(from))
  return new Set(exported.flatMap(([, names = '']) => namesOf(names)))
}

/** @param {string} clause - as between `import` or `export` and `from` */
function namesOf(clause) {
  return clause
    .replace(/^type\s/, '')
    .replaceAll(/[{}]/g, '')
    .split(',')
    .map((name) =>
      name
        .trim()
        .replace(/^type\s/, '')
        .replace(/\sas\s.*/, ''),
    )
    .filter((name) => name !== '')
}

/** @param {string} text */
function withoutComments(text) {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
