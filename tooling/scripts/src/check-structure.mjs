// @ts-check
// The shape of the repository: files named after the one concept they hold, the same script names in
// every package, versions in one place, a README with the same sections everywhere.
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { entryPoints } from './entry-points.mjs'
import { filesBelow, workspacePackages } from './workspace.mjs'

/** @typedef {import('./workspace.mjs').WorkspacePackage} WorkspacePackage */

// above this length a file gives a reason, in a line of its own: `// Length: why`
const MAX_LINES = 400
const LENGTH_REASON = /^\/\/ Length: \S+/m
const BAG_NAMES = /^(?:types?|utils?|helpers?|common|shared|lib|misc)\.(?:ts|mjs|js)$/
const FILE_NAME = /^[a-z0-9]+(?:[-.][a-z0-9]+)*$/
const LOOSE_TASK = /\b(?:TOD[O]|FIXM[E]|XX[X])\b(?!\(#\d+\))/
// a rule that is switched off says why: `oxlint-disable-next-line no-console -- it is a program`
const LOOSE_DISABLE =
  /(?:oxlint|eslint)-disabl[e](?!.* -- \S)|@ts-(?:ignor[e]|nochec[k]|expect-error *$)/m
const README_SECTIONS = ['Install', 'API', 'Options', 'Errors', 'Limits', 'How it works', 'Licence']
const README_LINES = { min: 60, max: 200 }
const PUBLISHED_SCRIPTS = ['build', 'check:pack', 'clean', 'lint', 'test', 'typecheck']
const SCRIPTS = new Set([...PUBLISHED_SCRIPTS, 'test:e2e'])

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkStructure(root) {
  return workspacePackages(root).flatMap((found) => [
    ...checkFiles(found),
    ...checkManifest(found),
    ...(found.published ? checkReadme(found) : []),
  ])
}

/** @param {WorkspacePackage} found */
function checkFiles(found) {
  const { folder, path } = found
  const entries = new Set(entryPoints(found).values())
  return filesBelow(join(path, 'src'), ['.ts', '.mjs', '.js']).flatMap((file) => {
    const text = readFileSync(join(path, 'src', file), 'utf8')
    const lines = text.split('\n').length - 1
    const name = basename(file)
    const problems = []
    const explained = LENGTH_REASON.test(text)
    if (lines > MAX_LINES && !explained) {
      problems.push(`${lines} lines: above ${MAX_LINES} a file says "// Length: why"`)
    }
    if (lines <= MAX_LINES && explained) problems.push('"// Length:" is not needed any more')
    if (BAG_NAMES.test(name)) problems.push('a bag of things: name the file after its one concept')
    if (!FILE_NAME.test(name)) problems.push('file names are kebab-case')
    if (name === 'index.ts' && file !== name && !entries.has(join('src', file))) {
      problems.push('index.ts only directly below src, or where "exports" names it')
    }
    if (LOOSE_DISABLE.test(text)) problems.push('a rule is switched off without a reason after --')
    if (/^export \*/m.test(text)) problems.push('export * hides what is exported')
    if (LOOSE_TASK.test(text)) problems.push('an open task names its issue: TODO(#7)')
    return problems.map((problem) => `${folder}/src/${file}: ${problem}`)
  })
}

/** @param {WorkspacePackage} found */
function checkManifest({ folder, path, manifest, published }) {
  const problems = []
  if (manifest.name !== `@proj/${aliasOf(basename(folder))}`) {
    problems.push(`is named ${manifest.name}, not after its folder`)
  }
  const required = published ? PUBLISHED_SCRIPTS : []
  for (const script of required.filter((name) => manifest.scripts?.[name] === undefined)) {
    problems.push(`has no script "${script}"`)
  }
  for (const script of Object.keys(manifest.scripts ?? {}).filter((name) => !SCRIPTS.has(name))) {
    problems.push(`script "${script}" is not one of ${[...SCRIPTS].join(', ')}`)
  }
  for (const [folderName, script] of [
    ['test', 'test'],
    ['test/e2e', 'test:e2e'],
    ['src', 'typecheck'],
    ['src', 'lint'],
  ]) {
    if (
      existsSync(join(path, folderName ?? '')) &&
      manifest.scripts?.[script ?? ''] === undefined
    ) {
      problems.push(`has a folder ${folderName} and no script "${script}"`)
    }
  }
  const dependencies = {
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...manifest.optionalDependencies,
  }
  for (const [name, version] of Object.entries(dependencies)) {
    if (!/^(?:catalog|workspace):/.test(version)) {
      problems.push(`${name} ${version}: versions stand in the catalog`)
    }
  }
  return problems.map((problem) => `${folder}/package.json: ${problem}`)
}

/**
 * The configuration packages are named for what they hold when imported.
 *
 * @param {string} folder
 */
function aliasOf(folder) {
  return { typescript: 'tsconfig', vitest: 'vitest-config', lint: 'lint-config' }[folder] ?? folder
}

/** @param {WorkspacePackage} found */
function checkReadme({ folder, path }) {
  const file = join(path, 'README.md')
  if (!existsSync(file)) return [`${folder}/README.md: missing`]
  const text = readFileSync(file, 'utf8')
  const problems = []
  const lines = text.split('\n').length - 1
  if (folder.startsWith('packages/')) {
    const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading = '']) => heading)
    for (const section of README_SECTIONS) {
      if (!headings.some((heading) => heading.startsWith(section))) {
        problems.push(`no section "## ${section}"`)
      }
    }
    if (lines < README_LINES.min || lines > README_LINES.max) {
      problems.push(`${lines} lines, not ${README_LINES.min} to ${README_LINES.max}`)
    }
  }
  return problems.map((problem) => `${folder}/README.md: ${problem}`)
}
