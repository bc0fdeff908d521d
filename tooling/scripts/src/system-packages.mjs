// @ts-check
// Packages of Debian, or of the derivative that this machine runs, as files: the libraries of the images, for
// another architecture, too. apt-get fetches them and checks the signatures of the distribution. Its lists are
// temporary here, so nothing is installed and nothing of this machine changes. Needs no root.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * @typedef {object} SystemPackage
 * @property {string} name
 * @property {string} version
 * @property {string} architecture - of Debian
 * @property {string} control - its control file
 * @property {string} file
 */

/**
 * Fetches packages in their newest versions, and those that they need in one certain version, because files of
 * theirs refer to these. Throws if one cannot be had.
 *
 * @param {readonly string[]} names
 * @param {string} architecture - of Debian: `arm64`
 * @param {string} target - folder, which must exist and be empty
 * @returns {SystemPackage[]} in order of their names
 */
export function fetchSystemPackages(names, architecture, target) {
  const work = mkdtempSync(join(tmpdir(), 'adit-apt-'))
  try {
    mkdirSync(join(work, 'lists/partial'), { recursive: true })
    mkdirSync(join(work, 'cache/archives/partial'), { recursive: true })
    writeFileSync(join(work, 'status'), '') // nothing is installed
    const options = Object.entries({
      'APT::Architecture': architecture,
      'APT::Architectures': architecture,
      'Dir::State::lists': join(work, 'lists'),
      'Dir::State::status': join(work, 'status'),
      'Dir::Cache': join(work, 'cache'),
      'Acquire::Languages': 'none',
      // the user _apt of apt-get cannot write to a folder of root
      ...(process.getuid?.() === 0 && { 'APT::Sandbox::User': 'root' }),
    }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    const aptGet = (/** @type {string[]} */ ...args) =>
      execFileSync('apt-get', [...options, '-qq', ...args], {
        cwd: target,
        stdio: ['ignore', 'ignore', 'inherit'],
      })
    aptGet('update')
    aptGet('download', ...names)
    const parts = packagesIn(target).flatMap(({ control }) => partsOf(control))
    aptGet('download', ...new Set(parts))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return packagesIn(target)
}

/**
 * Unpacks the files of a package.
 *
 * @param {SystemPackage} package_
 * @param {string} root - folder; links to folders in it are followed
 * @param {readonly string[]} without - patterns of tar for what is left out, from the root: `./usr/share/man`
 */
export function unpackSystemPackage({ file }, root, without) {
  const archive = execFileSync('dpkg-deb', ['--fsys-tarfile', file], { maxBuffer: 2 ** 30 })
  const exclude = without.map((pattern) => `--exclude=${pattern}`)
  execFileSync(
    'tar',
    ['-x', '--keep-directory-symlink', '--no-same-owner', ...exclude, '-C', root],
    {
      input: archive,
    },
  )
}

/** @param {string} folder */
function packagesIn(folder) {
  return readdirSync(folder)
    .toSorted()
    .map((name) => readPackage(join(folder, name)))
}

/** @param {string} control */
function partsOf(control) {
  const [, depends = ''] = /^Depends: (.*)$/m.exec(control) ?? []
  return [...depends.matchAll(/(\S+) \(= /g)].map(([, name = '']) => name)
}

/** @param {string} file */
function readPackage(file) {
  const control = execFileSync('dpkg-deb', ['--field', file], { encoding: 'utf8' })
  const field = (/** @type {string} */ name) =>
    new RegExp(`^${name}: (.*)$`, 'm').exec(control)?.[1] ?? ''
  const architecture = field('Architecture')
  return { name: field('Package'), version: field('Version'), architecture, control, file }
}
