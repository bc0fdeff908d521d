// @ts-check
// The file system of an image: the executable, the libraries that it is linked with, and the authorities that
// the system trusts. No shell and no package manager. The libraries are packages of Debian, which scanners of
// images find by the files in var/lib/dpkg/status.d.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { unpackSystemPackage } from './system-packages.mjs'
import { filesBelow } from './workspace.mjs'

/** Packages that an executable needs. */
export const IMAGE_PACKAGES = ['ca-certificates', 'libatomic1', 'libc6', 'libgcc-s1', 'libstdc++6']

/** The user of the images, and his group. The Containerfile says it, too. */
export const IMAGE_USER = 10_001

/** Folders of the user: state of the server, socket of the agent. The Containerfile names them. */
export const OWN_FOLDERS = ['var/lib/adit', 'run/adit']

/** What nothing in an image reads: converters of character sets, tools, pages. Copyrights stay. */
const WITHOUT = [
  './etc',
  './usr/lib/*/audit',
  './usr/lib/*/gconv',
  './usr/sbin',
  './usr/share/bash-completion',
  './usr/share/doc/*/NEWS*',
  './usr/share/doc/*/README*',
  './usr/share/doc/*/changelog*',
  './usr/share/doc/*/examples',
  './usr/share/gcc',
  './usr/share/gdb',
  './usr/share/lintian',
  './usr/share/locale',
  './usr/share/man',
]

const AUTHORITIES = 'etc/ssl/certs/ca-certificates.crt'

/**
 * Lays out what all images of an architecture have.
 *
 * @param {string} root - folder, which must not exist
 * @param {readonly import('./system-packages.mjs').SystemPackage[]} packages
 */
export function layOutBase(root, packages) {
  const put = (/** @type {string} */ path, /** @type {string} */ text) => {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o755 })
    writeFileSync(join(root, path), text, { mode: 0o644 })
  }
  // as in Debian: some packages name files below lib, some below usr/lib
  for (const name of ['lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true, mode: 0o755 })
    symlinkSync(`usr/${name}`, join(root, name))
  }
  for (const found of packages) {
    unpackSystemPackage(found, root, WITHOUT)
    put(`var/lib/dpkg/status.d/${found.name}`, found.control)
  }
  for (const folder of ['dev', 'proc', 'sys', 'tmp', 'usr/bin', ...OWN_FOLDERS]) {
    mkdirSync(join(root, folder), { recursive: true, mode: 0o755 })
  }
  chmodSync(join(root, 'tmp'), 0o1777)
  for (const folder of OWN_FOLDERS) chmodSync(join(root, folder), 0o700)
  put(
    'etc/passwd',
    `root:x:0:0:root:/:/none\nadit:x:${IMAGE_USER}:${IMAGE_USER}::/var/lib/adit:/none\n`,
  )
  put('etc/group', `root:x:0:\nadit:x:${IMAGE_USER}:\n`)
  put('etc/hosts', '127.0.0.1 localhost\n::1 localhost\n') // most runtimes put another one here
  put('etc/nsswitch.conf', 'hosts: files dns\n')
  put('etc/os-release', readFileSync('/etc/os-release', 'utf8')) // of the packages
  const certificates = join(root, 'usr/share/ca-certificates')
  put(
    AUTHORITIES,
    filesBelow(certificates)
      .map((name) => readFileSync(join(certificates, name), 'utf8'))
      .join(''),
  )
  rmSync(certificates, { recursive: true })
}

/**
 * Writes the archive that the Containerfile adds to an image: the base and a program.
 *
 * @param {string} program - `adit` or `adit-server`
 * @param {string} base - folder of `layOutBase`; holds the program of this call afterwards
 * @param {{ executable: string, licences: string, target: string, time: number }} options - executable and
 *   licences: files; target: archive; time: of every file, seconds since 1970
 */
export function packImageRoot(program, base, { executable, licences, target, time }) {
  for (const path of ['usr/bin', 'usr/share/doc/adit']) {
    if (existsSync(join(base, path))) rmSync(join(base, path), { recursive: true })
    mkdirSync(join(base, path), { recursive: true, mode: 0o755 })
  }
  copyFileSync(executable, join(base, 'usr/bin', program))
  chmodSync(join(base, 'usr/bin', program), 0o755)
  copyFileSync(licences, join(base, 'usr/share/doc/adit/copyright'))
  const pack = (
    /** @type {string} */ mode,
    /** @type {number} */ owner,
    /** @type {string[]} */ ...what
  ) => {
    const owned = [`--owner=${owner}`, `--group=${owner}`, '--numeric-owner']
    const order = ['--sort=name', `--mtime=@${time}`]
    execFileSync('tar', [mode, '--file', target, ...owned, ...order, '-C', base, ...what])
  }
  pack('--create', 0, ...OWN_FOLDERS.map((folder) => `--exclude=./${folder}`), '.')
  pack('--append', IMAGE_USER, ...OWN_FOLDERS.map((folder) => `./${folder}`))
}
