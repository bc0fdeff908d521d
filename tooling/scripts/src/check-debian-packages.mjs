// @ts-check
// Checks the Debian packages of this platform: installed, upgraded under load, removed and purged in a root
// directory that holds a shell, the programs that their scripts call and the C library, and nothing else of this
// machine. Needs root for chroot, and a Node that reads TypeScript.
import { execFile, execFileSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { librariesOf } from './check-executables.mjs'
import { firstAnswer, sendRequest } from './check-installed.mjs'
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

const STATE = '/var/lib/adit'

/** For `chroot` alone: certificates and settings of this machine are not in the directory. */
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

/** The default limits are for visitors: on a slow machine an upgrade takes longer, and loses nothing. */
const SLOW_MACHINE = /** @type {Readonly<Record<string, readonly string[]>>} */ ({
  adit: ['ADIT_UPGRADE_TIMEOUT=2m', 'ADIT_GRACE_PERIOD=10m'],
  'adit-server': [
    'ADIT_UPSTREAM_ABSENT_WAIT=1m',
    'ADIT_UPSTREAM_BUSY_WAIT=1m',
    'ADIT_NAMES_PROBE_TIMEOUT=1m',
    'ADIT_UPGRADE_TIMEOUT=2m',
    'ADIT_GRACE_PERIOD=10m',
  ],
})

/**
 * Rejects if a package does not do what it should.
 *
 * @param {readonly string[]} files - the packages of a release
 * @param {string} trees - folder with the tree of each package; changed by this
 * @param {readonly string[]} packages - names
 * @param {{ architecture: string, version: string }} built
 * @returns {Promise<string>} what was tried, for people
 */
export async function checkDebianPackages(files, trees, packages, { architecture, version }) {
  if (process.getuid?.() !== 0) return 'Debian packages were not installed: that needs root'
  const root = mkdtempSync(join(tmpdir(), 'adit-debian-'))
  try {
    fillRoot(root, architecture)
    const at = (/** @type {string} */ path) => join(root, path)
    const env = { PATH }
    const inside = (/** @type {string[]} */ ...command) =>
      execFileSync('chroot', [root, ...command], { encoding: 'utf8', env })
    const dpkgArgs = [`--root=${root}`, '--force-confold', '--no-debsig']
    const dpkg = (/** @type {string[]} */ ...args) =>
      execFileSync('dpkg', [...dpkgArgs, ...args], {
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

    const beganAt = performance.now()
    dpkg('--install', ...files)
    const installedAt = performance.now()
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
    mkdirSync(at('var/lib/adit'), { recursive: true, mode: 0o700 })
    writeFileSync(at('var/lib/adit/state'), '')
    writeFileSync(at('etc/adit/token'), '')
    const next = build(`${version}+1`)
    const upgrade = async () => {
      await promisify(execFile)('dpkg', [...dpkgArgs, '--install', ...next], { env })
    }
    const checkedAt = performance.now()
    const { answeredAt, answers } = await upgradeUnderLoad(root, upgrade)
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
    const time = firstAnswer(beganAt, answeredAt - (checkedAt - installedAt))
    return `Debian packages: in a bare root directory, ${time}, upgraded (${answers} requests meanwhile, none failed), removed and purged`
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/**
 * Upgrades the packages while both programs run and visitors come, and lets both hand over to the new files. Rejects
 * if one request fails or is sent twice.
 *
 * @param {string} root
 * @param {() => Promise<void>} upgrade - of the packages
 * @returns {Promise<{ answeredAt: number, answers: number }>} when the first answer came, and how many came
 */
async function upgradeUnderLoad(root, upgrade) {
  const { CountingService, SteadyLoad } = await import('@proj/testkit/steady-load')
  const { until } = await import('@proj/testkit/until')
  const service = new CountingService()
  const port = await service.listen()
  mkdirSync(join(root, 'run/adit'), { recursive: true, mode: 0o700 })
  const environment = [`STATE_DIRECTORY=${STATE}`, 'XDG_RUNTIME_DIR=/run/adit']
  const commandOf = (/** @type {string} */ program) => {
    const variables = [...environment, ...(SLOW_MACHINE[program] ?? [])]
    return ['env', ...variables, 'chroot', root, `/usr/bin/${program}`]
  }
  const run = async (/** @type {string} */ program, /** @type {string[]} */ ...args) => {
    const [command = '', ...rest] = commandOf(program)
    const { stdout } = await promisify(execFile)(command, [...rest, ...args], { env: { PATH } })
    return stdout
  }
  const holder = () => JSON.parse(readFileSync(join(root, STATE, 'adit.holder'), 'utf8')).pid
  let answers = 0
  const answeredAt = await sendRequest(commandOf, STATE, {
    service: { port, close: () => service.close() },
    meanwhile: async ({ server, agent, proxyPort }) => {
      const load = new SteadyLoad(service, {
        port: proxyPort,
        host: 'web.localhost',
        perSecond: 50,
        keptAlive: 5,
        maxFresh: 20,
        webSockets: 5,
        events: 5,
        uploads: 5,
      })
      load.start()
      const successors = []
      try {
        const finish = await load.open()
        await upgrade()
        await run('adit-server', 'upgrade')
        successors.push(holder())
        successors.push(JSON.parse(await run('adit', 'upgrade', '--json')).successor)
        for (const [program, pid] of [
          ['adit-server', successors[0]],
          ['adit', successors[1]],
        ]) {
          const running = statSync(`/proc/${pid}/exe`).ino
          must(![server.pid, agent.pid].includes(pid), `${program} has a successor`)
          must(
            running === statSync(join(root, 'usr/bin', program)).ino,
            `${program} runs the new file`,
          )
        }
        const before = load.answered
        await until(() => load.answered > before + 50)
        await finish()
        const report = await load.stop()
        const wrong = [...report.failed, ...(report.doubledPosts > 0 ? ['a POST came twice'] : [])]
        must(wrong.length === 0, `an upgrade loses nothing: ${wrong.slice(0, 5).join('; ')}`)
        answers = report.answered
      } finally {
        await load.stop() // again, unless something failed
        for (const pid of successors.toReversed()) {
          process.kill(pid, 'SIGTERM')
          await until(() => !existsSync(`/proc/${pid}`))
        }
      }
    },
  })
  return { answeredAt, answers }
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
