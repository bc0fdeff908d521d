// @ts-check
// Checks the Debian packages of this platform: installed, upgraded, removed and purged in a root directory
// that holds a shell, the programs that their scripts call and the C library, and nothing else of this
// machine. Needs root for chroot.
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { librariesOf } from './check-executables.mjs'
import { buildPackage } from './debian-package.mjs'

/** What the scripts of the packages call. dpkg itself runs outside. */
const PROGRAMS = ['/bin/sh', '/usr/bin/getent', '/usr/sbin/useradd', '/bin/rm']

/** Packages whose libraries are in the directory, as the dependencies of ours name them. */
const INSTALLED = {
  libatomic1: '14',
  libc6: '2.36',
  'libgcc-s1': '14',
  'libstdc++6': '14',
  passwd: '4',
}

/**
 * Throws if a package does not do what it should.
 *
 * @param {string} trees - folder with the tree of each package; changed by this
 * @param {readonly string[]} packages - names
 * @param {{ architecture: string, version: string }} built
 * @returns {string} what was tried, for people
 */
export function checkDebianPackages(trees, packages, { architecture, version }) {
  if (process.getuid?.() !== 0) return 'Debian packages were not installed: that needs root'
  const root = mkdtempSync(join(tmpdir(), 'adit-debian-'))
  try {
    fillRoot(root, architecture)
    const at = (/** @type {string} */ path) => join(root, path)
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
    const inside = (/** @type {string[]} */ ...command) =>
      execFileSync('chroot', [root, ...command], { encoding: 'utf8', env })
    const dpkg = (/** @type {string[]} */ ...args) =>
      execFileSync('dpkg', [`--root=${root}`, '--force-confold', '--no-debsig', ...args], {
        encoding: 'utf8',
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    const build = (/** @type {string} */ versionOfPackage) => {
      for (const name of packages) {
        const control = join(trees, name, 'DEBIAN/control')
        const text = readFileSync(control, 'utf8')
        writeFileSync(control, text.replace(/^Version: .*$/m, `Version: ${versionOfPackage}`))
      }
      return packages.map((name) => {
        const file = join(root, `${name}_${versionOfPackage}.deb`)
        buildPackage(join(trees, name), file, { time: 0, compressed: false })
        return file
      })
    }

    dpkg('--install', ...build(version))
    dpkg('--audit')
    for (const name of packages) {
      must(inside(`/usr/bin/${name}`, '--version').startsWith(`${name} `), `${name} starts`)
      inside(`/usr/bin/${name}`, 'config', 'check')
    }
    must(dpkg('--verify') === '', 'files are as the packages say')
    must(
      /^adit:[^:]*:\d+:\d+:[^:]*:\/var\/lib\/adit:\/usr\/sbin\/nologin$/m.test(
        readFileSync(at('etc/passwd'), 'utf8'),
      ),
      'there is a user',
    )

    const settings = at('etc/adit/adit-server.yaml')
    appendFileSync(settings, 'log:\n  level: warn\n')
    mkdirSync(at('var/lib/adit'), { recursive: true })
    writeFileSync(at('var/lib/adit/state'), '')
    writeFileSync(at('etc/adit/token'), '')
    dpkg('--install', ...build(`${version}+1`))
    must(dpkg('--status', 'adit').includes(`Version: ${version}+1`), 'it is upgraded')
    must(readFileSync(settings, 'utf8').includes('level: warn'), 'an upgrade leaves settings')

    dpkg('--remove', ...packages)
    for (const name of packages) must(!existsSync(at(`usr/bin/${name}`)), `${name} is removed`)
    for (const file of ['var/lib/adit/state', 'etc/adit/token', 'etc/adit/adit-server.yaml']) {
      must(existsSync(at(file)), `${file} stays when a package is removed`)
    }
    dpkg('--purge', ...packages)
    for (const path of ['var/lib/adit', 'etc/adit', 'usr/share/doc/adit']) {
      must(!existsSync(at(path)), `${path} is removed by a purge`)
    }
    return 'Debian packages: installed, upgraded, removed and purged in a bare root directory'
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/**
 * @param {string} root
 * @param {string} architecture
 */
function fillRoot(root, architecture) {
  for (const program of PROGRAMS) {
    for (const file of [program, ...librariesOf(program)]) {
      mkdirSync(join(root, dirname(file)), { recursive: true })
      copyFileSync(file, join(root, file))
    }
  }
  // the C++ library and what else the executables are linked with
  for (const file of librariesOf(process.execPath)) {
    mkdirSync(join(root, dirname(file)), { recursive: true })
    copyFileSync(file, join(root, file))
  }
  for (const folder of ['etc', 'tmp', 'dev', 'var/lib/dpkg/info', 'var/lib/dpkg/updates']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n')
  writeFileSync(join(root, 'dev/null'), '')
  const status = Object.entries(INSTALLED).map(([name, version]) =>
    [
      `Package: ${name}`,
      'Status: install ok installed',
      `Version: ${version}`,
      `Architecture: ${architecture}`,
      'Maintainer: none <none@adit.example>',
      'Description: stands for the one of Debian',
      '',
    ].join('\n'),
  )
  writeFileSync(join(root, 'var/lib/dpkg/status'), `${status.join('\n')}\n`)
}

/**
 * @param {boolean} holds
 * @param {string} what
 */
function must(holds, what) {
  if (!holds) throw new Error(`Debian packages: it does not hold that ${what}`)
}
