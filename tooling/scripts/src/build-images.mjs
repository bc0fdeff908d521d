// @ts-check
// The images of the programs: buildah, which needs no daemon, builds examples/container/Containerfile. It starts
// from an empty file system and runs nothing, so no registry is asked and every architecture can be built.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROGRAMS } from './build-executables.mjs'
import { LICENCES_FILE } from './bundle-program.mjs'
import { ARCHITECTURES } from './debian-package.mjs'
import { IMAGE_PACKAGES, layOutBase, packImageRoot } from './image-root.mjs'
import { missingPrograms } from './programs.mjs'
import { fetchSystemPackages } from './system-packages.mjs'
import { ROOT } from './workspace.mjs'

/** What building takes, besides root. */
const TOOLS = [
  { name: 'apt-get', debian: 'apt', usedFor: 'the libraries of images' },
  { name: 'buildah', debian: 'buildah', usedFor: 'images' },
  { name: 'dpkg-deb', debian: 'dpkg', usedFor: 'the libraries of images' },
]

/** Names of the images: one of a registry would be a promise about it. */
const NAMESPACE = 'localhost'

/**
 * @typedef {object} BuiltImage
 * @property {string} program
 * @property {string} file - as `docker save` writes it, with gzip
 */

/** @returns {string | undefined} why this machine builds no images; undefined: it does */
export function obstacleToImages() {
  const [missing] = missingPrograms(TOOLS)
  if (missing) return `${missing.name} (${missing.debian}) is not installed`
  return process.getuid?.() === 0 ? undefined : 'only root builds them here'
}

/**
 * Writes the images of both programs for a platform. Their format is that of Docker, because a health check is
 * not a part of the format of the OCI, and Podman ignores it there.
 *
 * @param {string} platform - `linux-x64`
 * @param {string} executables - folder with `adit`, `adit-server` and the licences of each
 * @param {string} target - folder, which must exist
 * @param {{ version: string, commit: string | undefined, time: number }} about - time: of the last change,
 *   seconds since 1970
 * @returns {{ images: BuiltImage[], packages: import('./system-packages.mjs').SystemPackage[], distribution: string }}
 *   packages: of the system, in the images; distribution: that they are of, such as `debian`
 */
export function buildImages(platform, executables, target, { version, commit = '', time }) {
  const architecture = ARCHITECTURES[platform]
  if (architecture === undefined) throw new Error(`there are no images for ${platform}`)
  const work = mkdtempSync(join(tmpdir(), 'adit-images-'))
  try {
    const context = mkdtempSync(join(work, 'context-'))
    const base = join(work, 'base')
    const packages = fetchSystemPackages(
      IMAGE_PACKAGES,
      architecture,
      mkdtempSync(join(work, 'packages-')),
    )
    layOutBase(base, packages)
    const buildah = (/** @type {string[]} */ ...args) =>
      execFileSync(
        'buildah',
        [
          '--root',
          join(work, 'storage'),
          '--runroot',
          join(work, 'run'),
          '--storage-driver',
          'vfs',
          ...args,
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      )
    const images = Object.keys(PROGRAMS).map((program) => {
      packImageRoot(program, base, {
        executable: join(executables, program),
        licences: join(executables, `${program}-${LICENCES_FILE}`),
        target: join(context, `${program}.tar`),
        time,
      })
      const name = `${NAMESPACE}/${program}`
      const file = join(ROOT, 'examples/container/Containerfile')
      const build = ['build', '--isolation', 'chroot', '--identity-label=false', '--file', file]
      const format = ['--format', 'docker', '--timestamp', String(time)]
      const wanted = ['--platform', `linux/${architecture}`, '--target', program]
      const labels = ['--build-arg', `VERSION=${version}`, '--build-arg', `REVISION=${commit}`]
      buildah(...build, ...format, ...wanted, ...labels, '--tag', `${name}:latest`, context)
      const archive = join(target, `${program}-${version}-${platform}.image.tar`)
      buildah('push', `${name}:latest`, `docker-archive:${archive}:${name}:${version}`)
      execFileSync('gzip', ['--force', '--no-name', archive])
      return { program, file: `${archive}.gz` }
    })
    const [, distribution = 'linux'] =
      /^ID=(.*)$/m.exec(readFileSync(join(base, 'etc/os-release'), 'utf8')) ?? []
    return { images, packages, distribution }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
