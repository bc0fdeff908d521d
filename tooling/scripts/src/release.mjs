// @ts-check
// The steps of a release that .github/workflows/release.yml takes, and all of them without publishing.
//
//     node release.mjs plan            writes what there is to do for GitHub: pending=, version=
//     node release.mjs notes           prints the notes of this version
//     node release.mjs publish         publishes dist/npm, what is not published yet, with provenance
//     pnpm release:dry [platform ...]  version, dist, notes and npm without publishing, in a copy of the last commit
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RELEASE_SCOPE } from './release-packages.mjs'
import { releaseNotes, releaseVersion } from './release-notes.mjs'
import { filesBelow, ROOT } from './workspace.mjs'

/** The scope of this repository stands for the one that is chosen before the first release. */
const PLACEHOLDER_SCOPE = '@proj'

const [step, ...args] = process.argv.slice(2)
switch (step) {
  case 'plan':
    console.log(`pending=${pendingChangesets(ROOT).length > 0}`)
    console.log(`version=${releaseVersion(ROOT)}`)
    break
  case 'notes':
    process.stdout.write(releaseNotes(ROOT, releaseVersion(ROOT)))
    break
  case 'publish':
    publish(ROOT)
    break
  case 'dry':
    rehearse()
    break
  default:
    throw new Error('usage: release.mjs plan|notes|publish|dry')
}

/** @param {string} root */
function pendingChangesets(root) {
  return readdirSync(join(root, '.changeset')).filter(
    (name) => name.endsWith('.md') && name !== 'README.md',
  )
}

/** @param {string} root */
function publish(root) {
  if (RELEASE_SCOPE === PLACEHOLDER_SCOPE) {
    throw new Error(
      `${PLACEHOLDER_SCOPE} is a placeholder: set RELEASE_SCOPE in release-packages.mjs to a scope of the project`,
    )
  }
  for (const file of tarballs(root)) {
    const { name, version } = identityOf(file)
    if (isPublished(name, version)) console.log(`${name} ${version} is published already`)
    else run('npm', ['publish', '--provenance', '--access', 'public', file], root)
  }
}

/** Everything but publishing, in a copy: `changeset version` changes files. */
function rehearse() {
  const copy = mkdtempSync(join(tmpdir(), 'adit-release-dry-'))
  try {
    run('git', ['clone', '--quiet', ROOT, copy], ROOT)
    run('pnpm', ['install', '--frozen-lockfile', '--prefer-offline'], copy)
    if (pendingChangesets(copy).length > 0) run('pnpm', ['release:version'], copy)
    const version = releaseVersion(copy)
    run('pnpm', ['dist', ...args], copy)
    const notes = releaseNotes(copy, version)
    for (const file of tarballs(copy)) {
      run('npm', ['publish', '--dry-run', '--silent', '--access', 'public', file], copy)
    }
    rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
    cpSync(join(copy, 'dist'), join(ROOT, 'dist'), { recursive: true })
    writeFileSync(join(ROOT, 'dist/NOTES.md'), notes)
    console.log(
      `release ${version}: tag v${version}, ${filesBelow(join(ROOT, 'dist')).length} files in dist`,
    )
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** @param {string} root */
function tarballs(root) {
  return filesBelow(join(root, 'dist/npm'), ['.tgz']).map((name) => join(root, 'dist/npm', name))
}

/** @param {string} file */
function identityOf(file) {
  const manifest = execFileSync('tar', ['-xzOf', file, 'package/package.json'], {
    encoding: 'utf8',
  })
  return JSON.parse(manifest)
}

/**
 * @param {string} name
 * @param {string} version
 */
function isPublished(name, version) {
  try {
    return (
      execFileSync('npm', ['view', `${name}@${version}`, 'version'], { encoding: 'utf8' }) !== ''
    )
  } catch {
    return false // the package does not exist yet
  }
}

/**
 * @param {string} command
 * @param {string[]} words
 * @param {string} cwd
 */
function run(command, words, cwd) {
  execFileSync(command, words, { cwd, stdio: ['ignore', 'inherit', 'inherit'] })
}
