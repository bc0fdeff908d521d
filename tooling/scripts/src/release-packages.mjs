// @ts-check
// The packages as a release publishes them: the tarball of each, with the scope of the release in place of
// the one of this repository, and in the programs the commit that they were built from.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleProgram } from './bundle-program.mjs'
import { run } from './run.mjs'
import { filesBelow, workspacePackages } from './workspace.mjs'

/** Scope of the packages in this repository. */
const SCOPE = '@proj'

/** Scope under which a release publishes them: the one place to change it. */
export const RELEASE_SCOPE = SCOPE

const TEXT = ['.js', '.mjs', '.ts', '.json', '.md', '.map']

/**
 * Writes a tarball of each published package. Needs a build.
 *
 * @param {string} root
 * @param {string} target - folder, which must exist
 * @param {{ commit?: string | undefined, scope?: string }} [options]
 * @returns {Promise<Record<string, string>>} name of the package → file
 */
export async function packRelease(root, target, { commit, scope = RELEASE_SCOPE } = {}) {
  const work = mkdtempSync(join(tmpdir(), 'adit-release-'))
  /** @type {Record<string, string>} */
  const tarballs = {}
  try {
    for (const { path, folder, manifest } of workspacePackages(root)) {
      if (manifest.private === true) continue
      const stage = join(work, folder.replaceAll('/', '-'))
      mkdirSync(stage)
      await must('pnpm', ['pack', '--pack-destination', stage], path)
      const [packed = ''] = readdirSync(stage)
      await must('tar', ['-xzf', packed], stage)
      if (folder.startsWith('apps/') && commit !== undefined) {
        const define = { ADIT_COMMIT: JSON.stringify(commit) }
        await bundleProgram(path, join(stage, 'package/dist'), { define })
      }
      const name = releaseName(manifest.name, scope)
      if (scope !== SCOPE) renameScope(join(stage, 'package'), scope)
      const file = packed.replace(SCOPE.slice(1), scope.slice(1))
      // the same sources give the same bytes
      const order = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
      await must('tar', [...order, '-cf', join(stage, 'package.tar'), 'package'], stage)
      await must('gzip', ['-9n', 'package.tar'], stage)
      writeFileSync(join(target, file), readFileSync(join(stage, 'package.tar.gz')))
      tarballs[name] = join(target, file)
    }
    return tarballs
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * The name under which a package is published.
 *
 * @param {string} name - in this repository
 * @param {string} [scope]
 */
export function releaseName(name, scope = RELEASE_SCOPE) {
  return name.replace(SCOPE, scope)
}

/**
 * @param {string} folder
 * @param {string} scope
 */
function renameScope(folder, scope) {
  for (const file of filesBelow(folder, TEXT)) {
    const path = join(folder, file)
    const text = readFileSync(path, 'utf8')
    const renamed = text.replaceAll(`${SCOPE}/`, `${scope}/`)
    if (renamed !== text) writeFileSync(path, renamed)
  }
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
async function must(command, args, cwd) {
  if (!existsSync(cwd)) throw new Error(`${cwd} is missing`)
  const code = await run(command, args, { cwd, quiet: true })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code} in ${cwd}`)
}
