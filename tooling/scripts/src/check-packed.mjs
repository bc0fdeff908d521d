// @ts-check
// Checks what a user installs: packs every published package, installs the tarballs into an empty project,
// imports each by its name, and type-checks a file that imports all of them and the examples of their
// READMEs. Workspace links, sources and hoisted tools can hide a missing file or dependency; here there
// is nothing but the tarballs. It also holds what the packages add to a bundle to bundle-limits.json.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { BUNDLE_LIMITS, bundleProblems, readmeSizeProblems } from './bundle-sizes.mjs'
import { run } from './run.mjs'
import { ROOT, readManifest, workspacePackages } from './workspace.mjs'

/** @typedef {import('./workspace.mjs').WorkspacePackage} WorkspacePackage */
/** @typedef {import('./bundle-sizes.mjs').BundleLimits} BundleLimits */

/**
 * Rejects if the tarball of a published package does not install, import or type-check, or is too large in
 * a bundle. Needs a build.
 *
 * @param {string} root
 * @param {BundleLimits} [limits]
 * @returns {Promise<string[]>} names of the packages
 */
export async function checkPacked(root, limits = BUNDLE_LIMITS) {
  const packages = workspacePackages(root).filter(({ published }) => published)
  const folder = mkdtempSync(join(tmpdir(), 'adit-packed-'))
  try {
    const tarballs = await packTarballs(packages, join(folder, 'tarballs'))
    const libraries = packages.filter(({ manifest }) => manifest.exports?.['.'] !== undefined)
    writeProject(
      folder,
      tarballs,
      libraries.map(({ manifest }) => manifest.name),
    )
    for (const found of packages) writeExamples(folder, found)
    // the manifests in the tarballs name each other by version: the overrides say where those are
    await must('pnpm', ['install', '--ignore-workspace', '--ignore-scripts', '--silent'], folder)
    await must('node', ['import.mjs'], folder)
    await must(join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'], folder)
    await checkSizes(folder, libraries, limits)
    return Object.keys(tarballs)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Packs packages into a folder that it makes.
 *
 * @param {WorkspacePackage[]} packages
 * @param {string} target
 * @returns {Promise<Record<string, string>>} package name → file: address of its tarball
 */
export async function packTarballs(packages, target) {
  mkdirSync(target)
  /** @type {Record<string, string>} */
  const tarballs = {}
  for (const { path, manifest } of packages) {
    const before = new Set(readdirSync(target))
    await must('pnpm', ['pack', '--pack-destination', target], path, true)
    const made = readdirSync(target).find((name) => !before.has(name))
    if (made === undefined) throw new Error(`${manifest.name} was not packed`)
    tarballs[manifest.name] = `file:tarballs/${made}`
  }
  return tarballs
}

/**
 * @param {string} folder
 * @param {Record<string, string>} tarballs
 * @param {string[]} names - packages to import: programs have nothing to import
 */
function writeProject(folder, tarballs, names) {
  // the one package a user adds: our types refer to those of Node
  const typings = readManifest(join(import.meta.dirname, '../node_modules/@types/node'))
  const manifest = {
    private: true,
    type: 'module',
    dependencies: { ...tarballs, '@types/node': typings['version'] },
    pnpm: { overrides: tarballs },
  }
  const tsconfig = {
    compilerOptions: {
      module: 'nodenext',
      target: 'es2022',
      strict: true,
      noEmit: true,
      types: ['node'],
      lib: ['es2023', 'esnext.disposable'],
    },
    include: ['*.ts'],
  }
  const imports = names.map((name, index) => `import * as package${index} from '${name}'\n`)
  const uses = names.map((_, index) => `package${index}`).join(', ')
  const text = `${imports.join('')}for (const names of [${uses}]) {
  if (Object.keys(names).length === 0) throw new Error('a package exports nothing')
}\n`
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  writeFileSync(join(folder, 'import.mjs'), text)
  writeFileSync(join(folder, 'import.ts'), text)
}

/**
 * Writes each TypeScript block of a README to a file: examples must compile as they are.
 *
 * @param {string} folder
 * @param {WorkspacePackage} found
 */
function writeExamples(folder, { path, folder: source }) {
  const readme = join(path, 'README.md')
  if (!existsSync(readme)) return
  const blocks = readFileSync(readme, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)
  for (const [index, [, text = '']] of [...blocks].entries()) {
    const name = `${source.replaceAll('/', '-')}-example-${index + 1}.ts`
    writeFileSync(join(folder, name), `${text}export {}\n`)
  }
}

/**
 * @param {string} folder
 * @param {WorkspacePackage[]} packages
 * @param {BundleLimits} limits
 */
async function checkSizes(folder, packages, limits) {
  /** @type {string[]} */
  const problems = []
  // the apps are programs: they are not imported
  for (const { path, manifest } of packages.filter(({ folder: at }) =>
    at.startsWith('packages/'),
  )) {
    const { name } = manifest
    problems.push(...(await bundleProblems(folder, name, limits)))
    problems.push(...readmeSizeProblems(path, name, limits))
  }
  if (problems.length > 0) throw new Error(`sizes in a bundle:\n${problems.join('\n')}`)
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
async function must(command, args, cwd, quiet = false) {
  const code = await run(command, args, { cwd, quiet })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code} in ${cwd}`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const names = await checkPacked(ROOT)
  console.log(`check packed: ok, ${names.length} packages import and type-check as tarballs`)
}
