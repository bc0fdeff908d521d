// @ts-check
// `pnpm dist`: everything a release gives, in the folder `dist`, with a table of sizes and checksums: the
// tarballs for npm in any case, and with a Node that can build them the programs as single executables, for
// Linux also as Debian packages where dpkg-deb is, and as images where buildah is.
//
//     pnpm dist                        for this platform
//     pnpm dist linux-arm64 ...        for others, too; what an emulator can start is started
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { billOfMaterials } from './bill-of-materials.mjs'
import { buildImages, obstacleToImages } from './build-images.mjs'
import { buildExecutables, OLDEST_BUILDER, PLATFORMS, PROGRAMS } from './build-executables.mjs'
import { checkDebianPackages } from './check-debian-packages.mjs'
import { checkExecutables } from './check-executables.mjs'
import { checkImages, emulatorOf } from './check-images.mjs'
import { checkNpmInstallation } from './check-installed.mjs'
import { ARCHITECTURES, buildPackage, layOutPackage } from './debian-package.mjs'
import { LICENCES_FILE } from './bundle-program.mjs'
import { PAGE_FOLDERS, writePages } from './program-pages.mjs'
import { missingPrograms } from './programs.mjs'
import { packRelease, releaseName } from './release-packages.mjs'
import { filesBelow, readManifest, ROOT } from './workspace.mjs'

/** The most that an archive or Debian package may have, MB (10^6 bytes). */
const MAX_ARCHIVE_MB = 40

/** The same of an image. */
const MAX_IMAGE_MB = 50

const TARGET = join(ROOT, 'dist')
const git = spawnSync('git', ['log', '-1', '--format=%H %ct'], { cwd: ROOT, encoding: 'utf8' })
const [commit, seconds = '0'] = git.status === 0 ? git.stdout.trim().split(' ') : [] // not a checkout
/** Of the last change, seconds since 1970. */
const time = Number(seconds)
const version = String(readManifest(join(ROOT, 'apps/server'))['version'])

rmSync(TARGET, { recursive: true, force: true })
mkdirSync(join(TARGET, 'npm'), { recursive: true })
const tarballs = await packRelease(ROOT, join(TARGET, 'npm'), { commit })

const ours = `${process.platform}-${process.arch}`
const obstacle = obstacleToExecutables()
const others = process.argv.slice(2).filter((platform) => platform !== ours)
/** @type {string[]} */
const notes = [await checkNpmInstallation(tarballsOf(Object.values(PROGRAMS)))]
if (obstacle === undefined) {
  const pages = mkdtempSync(join(tmpdir(), 'adit-pages-'))
  for (const [program, app] of Object.entries(PROGRAMS)) {
    writePages(program, app, join(pages, program))
  }
  for (const platform of [ours, ...others]) {
    const folder = mkdtempSync(join(tmpdir(), 'adit-dist-'))
    try {
      const built = await buildExecutables(platform, folder, commit)
      const files = built.map(({ file }) => file)
      const archives = files.map((file) => archive(folder, basename(file), platform, pages))
      if (platform === ours) {
        notes.push(await checkExecutables(archives, Object.keys(PROGRAMS), commit))
        writeBills(built)
      }
      notes.push(...(await debianPackages(folder, platform, pages)))
      notes.push(...(await images(folder, platform, built)))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  rmSync(pages, { recursive: true, force: true })
} else {
  notes.push(`no executables: ${obstacle}`)
}
for (const line of table()) console.log(line)
for (const note of notes) console.log(`note: ${note}`)

/** @param {readonly string[]} apps */
function tarballsOf(apps) {
  return apps.map((app) => {
    const { name } = readManifest(join(ROOT, app))
    return tarballs[releaseName(name)] ?? ''
  })
}

/** @param {import('./build-executables.mjs').BuiltProgram[]} built - they are the same for every platform */
function writeBills(built) {
  const node = process.versions.node
  for (const { name, packages } of built) {
    const bill = billOfMaterials({ name, version, commit, time, node, packages })
    writeFileSync(join(TARGET, `${name}-${version}.cdx.json`), bill)
  }
}

/**
 * @param {string} folder - with the executables
 * @param {string} platform
 * @param {string} pages - with the manual pages and completions of each program
 * @returns {Promise<string[]>} what was found, for people
 */
async function debianPackages(folder, platform, pages) {
  const architecture = ARCHITECTURES[platform]
  if (architecture === undefined) return []
  const [tool] = missingPrograms([{ name: 'dpkg-deb', debian: 'dpkg', usedFor: 'the packages' }])
  if (tool) return [`no Debian packages for ${platform}: ${tool.name} is not installed`]
  const trees = mkdtempSync(join(tmpdir(), 'adit-debian-trees-'))
  try {
    /** @type {string[]} */
    const files = []
    for (const [program, app] of Object.entries(PROGRAMS)) {
      layOutPackage(program, join(trees, program), {
        executable: join(folder, program),
        licences: join(folder, `${program}-${LICENCES_FILE}`),
        pages: join(pages, program),
        app,
        platform,
        version,
        time,
      })
      const file = join(TARGET, `${program}_${version}_${architecture}.deb`)
      buildPackage(join(trees, program), file, { time })
      checkSize(file)
      files.push(file)
    }
    if (platform !== ours) return [`Debian packages for ${architecture}: built, not installed`]
    return [
      await checkDebianPackages(files, trees, Object.keys(PROGRAMS), { architecture, version }),
    ]
  } finally {
    rmSync(trees, { recursive: true, force: true })
  }
}

/**
 * @param {string} folder - with the executables
 * @param {string} platform
 * @param {import('./build-executables.mjs').BuiltProgram[]} built
 * @returns {Promise<string[]>} what was found, for people
 */
async function images(folder, platform, built) {
  if (ARCHITECTURES[platform] === undefined) return []
  const why = obstacleToImages()
  if (why !== undefined) return [`no images for ${platform}: ${why}`]
  const about = { version, commit, time }
  const { images: files, packages, distribution } = buildImages(platform, folder, TARGET, about)
  for (const { program, file } of files) {
    checkSize(file, MAX_IMAGE_MB)
    const node = process.versions.node
    const { packages: bundled = [] } = built.find(({ name }) => name === program) ?? {}
    const contents = { node, packages: bundled, systemPackages: packages, distribution }
    const bill = billOfMaterials({ name: program, ...about, ...contents })
    writeFileSync(file.replace(/\.tar\.gz$/, '.cdx.json'), bill)
  }
  const emulator = platform === ours ? undefined : emulatorOf(platform)
  if (platform !== ours && emulator === undefined) return [`${platform}: images built, not started`]
  return [`${platform}: ${await checkImages(files, { commit, emulator })}`]
}

/** @returns {string | undefined} why this machine builds no executables; undefined: it does */
function obstacleToExecutables() {
  if (PLATFORMS[ours] === undefined) return `there are none for ${ours}`
  if (Number(process.versions.node.split('.')[0]) < OLDEST_BUILDER) {
    return `they are built by Node ${OLDEST_BUILDER} or newer, this is ${process.version}`
  }
  const [xz] = missingPrograms([{ name: 'xz', debian: 'xz-utils', usedFor: 'their archives' }])
  return xz && `${xz.name} (${xz.debian}) is not installed`
}

/**
 * @param {string} folder
 * @param {string} file
 * @param {string} platform
 * @param {string} pages - with the manual pages and completions of each program
 * @returns {string} its name
 */
function archive(folder, file, platform, pages) {
  const program = file.replace(/\.exe$/, '')
  const target = join(TARGET, `${program}-${version}-${platform}.tar.xz`)
  const names = [file, `${program}-${LICENCES_FILE}`]
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '--sort=name']
  // a higher level takes ten times as long for a twentieth less
  const env = { ...process.env, XZ_OPT: '-1 -T2' }
  const beside = ['-C', join(pages, program), ...PAGE_FOLDERS]
  execFileSync('tar', [...owner, '-cJf', target, '-C', folder, ...names, ...beside], { env })
  checkSize(target)
  return target
}

/** @param {string} file */
function checkSize(file, most = MAX_ARCHIVE_MB) {
  const megabytes = statSync(file).size / 1e6
  if (megabytes > most) {
    throw new Error(`${file} has ${megabytes.toFixed(1)} MB, more than ${most}`)
  }
}

/** Writes SHA256SUMS. @returns {string[]} */
function table() {
  const rows = filesBelow(TARGET).map((name) => {
    const bytes = readFileSync(join(TARGET, name))
    const sum = createHash('sha256').update(bytes).digest('hex')
    return { name, sum, megabytes: (bytes.length / 1e6).toFixed(2).padStart(6) }
  })
  writeFileSync(
    join(TARGET, 'SHA256SUMS'),
    rows.map(({ sum, name }) => `${sum}  ${name}\n`).join(''),
  )
  return rows.map(({ name, sum, megabytes }) => `${megabytes} MB  ${sum.slice(0, 16)}  ${name}`)
}
