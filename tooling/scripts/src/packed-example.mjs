// @ts-check
// A copy of an example as a user has it: our packages from their tarballs, everything else linked from what
// is installed in the workspace, so that nothing is downloaded. That the tarballs install by themselves
// is what check-packed.mjs checks.
import {
  cpSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { packTarballs } from './check-packed.mjs'
import { run } from './run.mjs'
import { ROOT, readManifest, workspacePackages } from './workspace.mjs'

/** @typedef {import('./workspace.mjs').WorkspacePackage} WorkspacePackage */

/**
 * Makes the copy. Needs a build, and pnpm and tar on the path.
 *
 * @param {string} example - folder below the root
 * @param {string} target - empty folder
 */
export async function packedExample(example, target) {
  const source = join(ROOT, example)
  const modules = join(target, 'node_modules')
  for (const name of readdirSync(source).filter((entry) => entry !== 'node_modules')) {
    cpSync(join(source, name), join(target, name), { recursive: true })
  }
  const { devDependencies = {} } = readManifest(source)
  const ours = withDependencies(Object.keys(devDependencies))
  for (const name of Object.keys(devDependencies)) {
    if (!ours.has(name)) link(join(source, 'node_modules', name), join(modules, name))
  }
  const tarballs = await packTarballs([...ours.values()], join(target, 'tarballs'))
  for (const { path, manifest } of ours.values()) {
    const unpacked = join(modules, manifest.name)
    mkdirSync(dirname(unpacked), { recursive: true })
    const tarball = join(target, (tarballs[manifest.name] ?? '').replace(/^file:/, ''))
    const code = await run('tar', ['-xzf', tarball, '-C', target])
    if (code !== 0) throw new Error(`tar ended with ${code} on ${tarball}`)
    renameSync(join(target, 'package'), unpacked)
    for (const name of Object.keys(manifest.dependencies ?? {}).filter((one) => !ours.has(one))) {
      link(join(path, 'node_modules', name), join(unpacked, 'node_modules', name))
    }
  }
  rmSync(join(target, 'tarballs'), { recursive: true })
}

/**
 * Our packages among these names, and those that they need.
 *
 * @param {string[]} names
 * @returns {Map<string, WorkspacePackage>}
 */
function withDependencies(names) {
  const known = new Map(workspacePackages().map((found) => [found.manifest.name, found]))
  /** @type {Map<string, WorkspacePackage>} */
  const needed = new Map()
  const open = [...names]
  for (const name of open) {
    const found = known.get(name)
    if (found === undefined || needed.has(name)) continue
    needed.set(name, found)
    open.push(...Object.keys(found.manifest.dependencies ?? {}))
  }
  return needed
}

/**
 * @param {string} from
 * @param {string} to
 */
function link(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  symlinkSync(realpathSync(from), to)
}
