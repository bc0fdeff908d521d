// @ts-check
// The workflows of CI, parsed as CI parses them: a mistake there is seen on the next push at the
// earliest, and some are never seen (`node-version: 20.20` is the number 20.2).
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, parseDocument, Scalar, visit } from 'yaml'
import { filesBelow, readManifest, workspacePackages } from './workspace.mjs'

const FOLDER = '.github/workflows'
// the version of an action is a commit: a tag can be moved to other code
const PINNED = /^\.\/|@[0-9a-f]{40}$|@sha256:[0-9a-f]{64}$/
// `node-version` of setup-node, and `node`, as the matrix names it
const NODE_VERSION = /^node(?:-version)?$/
const EXPRESSION = /^\$\{\{.*\}\}$/
// `pnpm test`, `npx -y pnpm@10 --filter @proj/mux run test`, `npm run test`
const SCRIPT_CALL =
  /\b(?:pnpm(?:@[\w.]+)?|npm(?= +run\b))(?: +(?:--filter[ =](\S+)|-\S+))* +(?:run +)?([a-z][\w:-]*)/g
const PNPM_COMMANDS = new Set(['add', 'audit', 'config', 'dlx', 'exec', 'install', 'publish'])
// the shell files that a step starts are read too
const SHELL_CALL = /\bbash +([\w./-]+)/g

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkWorkflows(root) {
  return filesBelow(join(root, FOLDER), ['.yml', '.yaml']).flatMap((name) => {
    const file = `${FOLDER}/${name}`
    const document = parseDocument(readFileSync(join(root, file), 'utf8'))
    const problems = document.errors.map(({ message }) => message.split('\n')[0] ?? message)
    if (problems.length === 0) {
      problems.push(...checkScalars(document), ...checkJobs(root, document))
    }
    return problems.map((problem) => `${file}: ${problem}`)
  })
}

/**
 * Values that do not mean what they look like.
 *
 * @param {import('yaml').Document} document
 */
function checkScalars(document) {
  /** @type {string[]} */
  const problems = []
  visit(document, {
    Pair(_, pair) {
      const key = isScalar(pair.key) ? String(pair.key.value) : ''
      if (NODE_VERSION.test(key)) problems.push(...unquotedVersions(key, pair.value))
    },
    Scalar(_, { value, source = '' }) {
      if (typeof value === 'number' && String(value) !== source) {
        problems.push(`${source} is the number ${value}: quote it`)
      }
    },
  })
  return problems
}

/**
 * @param {string} key
 * @param {unknown} node - a version or a list of versions
 */
function unquotedVersions(key, node) {
  /** @type {string[]} */
  const problems = []
  visit(/** @type {import('yaml').Node} */ (node), {
    Scalar(_, { type, source = '' }) {
      const quoted = type === Scalar.QUOTE_SINGLE || type === Scalar.QUOTE_DOUBLE
      if (!quoted && !EXPRESSION.test(source)) problems.push(`${key}: ${source} is not quoted`)
    },
  })
  return problems
}

/**
 * @param {string} root
 * @param {import('yaml').Document} document
 */
function checkJobs(root, document) {
  const { jobs } = document.toJS() ?? {}
  if (!isMap(document.get('jobs'))) return ['has no jobs']
  return [...checkRights(document), ...checkSteps(root, jobs)]
}

/**
 * Code of a pull request is not ours: no job that it starts may write. Elsewhere each job names what it may.
 *
 * @param {import('yaml').Document} document
 */
function checkRights(document) {
  const { on, permissions, jobs } = document.toJS()
  const events = typeof on === 'string' ? [on] : Array.isArray(on) ? on : Object.keys(on ?? {})
  const problems = events.includes('pull_request_target')
    ? ['pull_request_target runs code of others with our rights']
    : []
  if (permissions === undefined) {
    problems.push('names no permissions: jobs get those of the repository')
  }
  const writing = (/** @type {unknown} */ rights) =>
    rights === 'write-all' || Object.values(Object(rights)).includes('write')
  if (writing(permissions)) problems.push('permissions to write belong to a job')
  if (!events.includes('pull_request')) return problems
  const writers = Object.entries(jobs).filter(([, job]) => writing(job.permissions))
  return [...problems, ...writers.map(([id]) => `job ${id} may write, and pull requests start it`)]
}

/**
 * @param {string} root
 * @param {Record<string, any>} jobs
 */
function checkSteps(root, jobs) {
  return Object.entries(jobs).flatMap(([id, job]) => [
    ...[job.needs ?? []]
      .flat()
      .filter((needed) => !Object.hasOwn(jobs, needed))
      .map((needed) => `job ${id} needs ${needed}, which is no job`),
    ...[job, ...(job.steps ?? [])].flatMap((step) => checkStep(root, step)),
  ])
}

/**
 * @param {string} root
 * @param {{ uses?: unknown, run?: unknown }} step
 */
function checkStep(root, { uses, run }) {
  const problems = []
  if (typeof uses === 'string' && !PINNED.test(uses)) {
    problems.push(`${uses} is not pinned to a commit`)
  }
  if (typeof run === 'string') problems.push(...checkCommands(root, run))
  return problems
}

/**
 * @param {string} root
 * @param {string} commands
 */
function checkCommands(root, commands) {
  const shellFiles = [...commands.matchAll(SHELL_CALL)].map(([, file = '']) => file)
  const texts = shellFiles
    .filter((file) => existsSync(join(root, file)))
    .map((file) => readFileSync(join(root, file), 'utf8'))
  return [
    ...shellFiles
      .filter((file) => !existsSync(join(root, file)))
      .map((file) => `bash ${file}: there is no such file`),
    ...[commands, ...texts].flatMap((text) => missingScripts(root, text)),
  ]
}

/**
 * @param {string} root
 * @param {string} text
 */
function missingScripts(root, text) {
  return [...withoutComments(text).matchAll(SCRIPT_CALL)]
    .filter(([, filter, script = '']) => {
      if (filter === undefined) {
        return !PNPM_COMMANDS.has(script) && !hasScript(readManifest(root), script)
      }
      const found = workspacePackages(root).find(({ manifest }) => manifest.name === filter)
      return (
        found === undefined || (!PNPM_COMMANDS.has(script) && !hasScript(found.manifest, script))
      )
    })
    .map(([call]) => `${call}: package.json has no such script`)
}

/**
 * @param {import('./workspace.mjs').Manifest} manifest
 * @param {string} script
 */
function hasScript(manifest, script) {
  return manifest.scripts?.[script] !== undefined
}

/** @param {string} text - shell */
function withoutComments(text) {
  return text.replaceAll(/^\s*#.*$/gm, '')
}
