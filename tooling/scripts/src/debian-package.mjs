// @ts-check
// The programs as Debian packages: the executable, its unit, configuration file, manual pages and
// completions. dpkg-deb, which every Debian has, writes the archive.
//
// State and configuration follow the policy of Debian: removing a package leaves both, purging removes
// them. Services are neither enabled nor started: both need a look at their configuration first.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { filesBelow, ROOT } from './workspace.mjs'

/** A platform of ours → the name of its architecture in Debian. */
export const ARCHITECTURES = /** @type {Readonly<Record<string, string>>} */ ({
  'linux-x64': 'amd64',
  'linux-arm64': 'arm64',
})

/** What an executable needs: its libraries, and `useradd`. Node is built for the C library 2.28. */
const DEPENDS = ['libatomic1', 'libc6 (>= 2.28)', 'libgcc-s1', 'libstdc++6', 'passwd']

/**
 * @typedef {object} DebianProgram
 * @property {string} summary - one line, begins with a small letter
 * @property {string} about
 * @property {readonly string[]} owned - removed by a purge: state, and secrets that the unit names
 */

/** @type {Readonly<Record<string, DebianProgram>>} */
const PROGRAMS = {
  adit: {
    summary: 'agent of a self-hosted reverse tunnel',
    about: 'Publishes services that have no public address through a server, and connects to them.',
    owned: ['/etc/adit/token'],
  },
  'adit-server': {
    summary: 'server of a self-hosted reverse tunnel',
    about: 'Carries visitors to services that have no public address: their agents dial out to it.',
    owned: ['/var/lib/adit'],
  },
}

/** A place until there is a mailbox of the project. */
const MAINTAINER = 'Adit maintainers <maintainers@adit.example>'

/**
 * Lays out the files of a package below a folder, as `dpkg-deb --build` takes it.
 *
 * @param {string} program - `adit` or `adit-server`
 * @param {string} tree - folder, which must not exist
 * @param {{ executable: string, licences: string, pages: string, app: string, platform: string, version: string, time: number }} source -
 *   executable and licences: files; pages: folder of `writePages`; app: `apps/agent`; time: of the last
 *   change, seconds since 1970
 */
export function layOutPackage(program, tree, source) {
  const { executable, licences, pages, app, platform, version, time } = source
  const about = PROGRAMS[program]
  const architecture = ARCHITECTURES[platform]
  if (about === undefined || architecture === undefined) {
    throw new Error(`no Debian package of ${program} for ${platform}`)
  }
  const put = (/** @type {string} */ path, /** @type {string | Buffer} */ text, mode = 0o644) => {
    const file = join(tree, path)
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 })
    writeFileSync(file, text)
    chmodSync(file, mode)
  }
  const zipped = (/** @type {string | Buffer} */ text) => gzipSync(text, { level: 9 })
  const page = (/** @type {string} */ name) => readFileSync(join(pages, name))
  const doc = `usr/share/doc/${program}`

  put(`usr/bin/${program}`, '')
  copyFileSync(executable, join(tree, `usr/bin/${program}`))
  chmodSync(join(tree, `usr/bin/${program}`), 0o755)
  put(`usr/lib/systemd/system/${program}.service`, unitOf(program))
  put(`etc/adit/${program}.yaml`, starterOf(program, app))
  put(`usr/share/man/man1/${program}.1.gz`, zipped(page(`man/${program}.1`)))
  put(`usr/share/man/man5/${program}.yaml.5.gz`, zipped(page(`man/${program}.yaml.5`)))
  put(`usr/share/bash-completion/completions/${program}`, page(`completions/bash/${program}`))
  put(`usr/share/zsh/vendor-completions/_${program}`, page(`completions/zsh/_${program}`))
  put(
    `usr/share/fish/vendor_completions.d/${program}.fish`,
    page(`completions/fish/${program}.fish`),
  )
  put(`${doc}/copyright`, copyrightOf(readFileSync(licences, 'utf8')))
  put(`${doc}/changelog.gz`, zipped(changelogOf(program, version, time)))

  const sizes = filesBelow(tree).map((name) => readFileSync(join(tree, name)).length)
  put(
    'DEBIAN/control',
    `${[
      `Package: ${program}`,
      `Version: ${version}`,
      `Architecture: ${architecture}`,
      `Maintainer: ${MAINTAINER}`,
      `Installed-Size: ${Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / 1024)}`,
      `Depends: ${DEPENDS.join(', ')}`,
      'Section: net',
      'Priority: optional',
      'Homepage: https://github.com/proj/adit',
      `Description: ${about.summary}`,
      ` ${about.about}`,
    ].join('\n')}\n`,
  )
  put('DEBIAN/conffiles', `/etc/adit/${program}.yaml\n`)
  const scripts = scriptsOf(program, about.owned, userCommand(program, app))
  for (const [name, text] of Object.entries(scripts)) {
    put(`DEBIAN/${name}`, `#!/bin/sh\nset -e\n${text}`, 0o755)
  }
  const sums = filesBelow(tree)
    .filter((name) => !name.startsWith('DEBIAN/') && !name.startsWith('etc/'))
    .map((name) => `${md5(readFileSync(join(tree, name)))}  ${name}\n`)
  put('DEBIAN/md5sums', sums.join(''))
}

/**
 * Writes a package. The same tree gives the same bytes.
 *
 * @param {string} tree - of `layOutPackage`
 * @param {string} target - file, or folder for a file with the usual name
 * @param {{ time: number, compressed?: boolean }} options - time: of every file that is newer
 */
export function buildPackage(tree, target, { time, compressed = true }) {
  // xz takes four times as long for a tenth less
  const compression = compressed ? ['-Zzstd', '-z6'] : ['-Znone']
  execFileSync('dpkg-deb', ['--root-owner-group', ...compression, '--build', tree, target], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(time) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/**
 * The unit of the example, for the program of the package.
 *
 * @param {string} program
 */
function unitOf(program) {
  const text = readFileSync(join(ROOT, `examples/systemd/${program}.service`), 'utf8')
  const unit = text
    .replace(/^# .*\n/, '') // where the example is put
    .replace(`ExecStart=/usr/bin/env ${program} `, `ExecStart=/usr/bin/${program} `)
  if (!unit.startsWith('[Unit]') || !unit.includes(`ExecStart=/usr/bin/${program} `)) {
    throw new Error(`examples/systemd/${program}.service has another form than expected`)
  }
  return unit
}

/**
 * @param {string} program
 * @param {string} app
 */
function starterOf(program, app) {
  const folder = mkdtempSync(join(tmpdir(), 'adit-starter-'))
  try {
    const file = join(folder, 'starter.yaml')
    execFileSync(process.execPath, [join(ROOT, app, `bin/${program}.js`), 'config', 'init', file])
    return readFileSync(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Makes the user of the services, as `service install` of the program does it.
 *
 * @param {string} program
 * @param {string} app
 * @returns {string}
 */
function userCommand(program, app) {
  const args = [join(ROOT, app, `bin/${program}.js`), 'service', 'install', '--print', '--json']
  const { commands } = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  const [command] = commands
  if (command[0] !== 'useradd') throw new Error(`${program} makes no user: ${command.join(' ')}`)
  return command.join(' ')
}

/** @param {Buffer} bytes - the sum is for `dpkg --verify`, which knows no other */
function md5(bytes) {
  return createHash('md5').update(bytes).digest('hex')
}

/** @param {string} thirdParty */
function copyrightOf(thirdParty) {
  const ours = readFileSync(join(ROOT, 'LICENSE'), 'utf8')
  return `${ours.trim()}\n\n${'-'.repeat(80)}\n\nIt contains:\n\n${thirdParty}`
}

/**
 * @param {string} program
 * @param {string} version
 * @param {number} time
 */
function changelogOf(program, version, time) {
  const date = new Date(time * 1000).toUTCString().replace('GMT', '+0000')
  return [
    `${program} (${version}) unstable; urgency=medium`,
    '',
    '  * Built from the sources of this version; its changes are told with the release.',
    '',
    ` -- ${MAINTAINER}  ${date}`,
    '',
  ].join('\n')
}

/**
 * Maintainer scripts: the user of the services, and systemd where it runs.
 *
 * @param {string} program
 * @param {readonly string[]} owned
 * @param {string} makeUser
 */
function scriptsOf(program, owned, makeUser) {
  const whereSystemd = (/** @type {string} */ command) =>
    `if [ -d /run/systemd/system ]; then ${command}; fi\n`
  return {
    postinst: [
      'if [ "$1" = configure ]; then\n',
      '  if ! getent passwd adit >/dev/null; then\n',
      `    ${makeUser}\n`,
      '  fi\n',
      `  ${whereSystemd(`systemctl daemon-reload && systemctl try-restart ${program}.service || true`)}`,
      'fi\n',
    ].join(''),
    prerm: [
      'if [ "$1" = remove ]; then\n',
      `  ${whereSystemd(`systemctl disable --now ${program}.service || true`)}`,
      'fi\n',
    ].join(''),
    postrm: [
      'if [ "$1" = purge ]; then\n',
      // the user stays: files elsewhere may be his
      `  rm -rf ${owned.join(' ')}\n`,
      'fi\n',
      whereSystemd('systemctl daemon-reload || true'),
    ].join(''),
  }
}
