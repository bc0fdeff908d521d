// @ts-check
// Checks images: starts them from their archives as a container is started: the user, environment and entry point of
// the image, a root file system that is read-only, no new privileges, nothing of this machine but its network.
// A request goes through both programs, and the health check of each says that it works. Needs root.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { firstAnswer, sendRequest } from './check-installed.mjs'
import { OWN_FOLDERS } from './image-root.mjs'
import { findProgram } from './programs.mjs'

/** Where the emulator is in the file system of an image, while it runs. */
const EMULATOR = '/dev/emulator'

/**
 * Run with the root, the user, the group, the emulator or nothing, and the command. `exec`, so that the process is
 * that of the program. Folders of the user are in memory: a container has a volume or a tmpfs there.
 */
const START = `set -e
root=$1 user=$2 group=$3 emulator=$4; shift 4
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
touch "$root/dev/null"
mount --bind /dev/null "$root/dev/null"
if [ -n "$emulator" ]; then
  touch "$root${EMULATOR}"
  mount --bind "$emulator" "$root${EMULATOR}"
fi
for folder in ${OWN_FOLDERS.join(' ')}; do
  mount -t tmpfs -o "mode=0700,uid=$user,gid=$group" tmpfs "$root/$folder"
done
exec setpriv --no-new-privs chroot --userspec="$user:$group" "$root" "$@"`

/** @type {Readonly<Record<string, string>>} platforms with the emulator of their executables */
const EMULATORS = { 'linux-arm64': 'qemu-aarch64-static' }

/**
 * The program that starts executables of another platform here.
 *
 * @param {string} platform
 * @returns {string | undefined} file; undefined: there is none
 */
export function emulatorOf(platform) {
  const name = EMULATORS[platform]
  if (process.platform !== 'linux' || name === undefined) return undefined
  return findProgram(name)
}

/**
 * Rejects if an image does not work.
 *
 * @param {readonly import('./build-images.mjs').BuiltImage[]} images - of both programs
 * @param {{ commit: string | undefined, emulator?: string | undefined }} options - commit: that they were built
 *   from; emulator: static program that starts executables of the images, when they are not for this machine
 * @returns {Promise<string>} what was tried, for people
 */
export async function checkImages(images, { commit, emulator = '' }) {
  const emulated = emulator === '' ? [] : [EMULATOR]
  const work = mkdtempSync(join(tmpdir(), 'adit-image-check-'))
  try {
    const beganAt = performance.now()
    const unpacked = new Map(
      images.map(({ program, file }) => [program, unpack(file, join(work, program))]),
    )
    const imageOf = (/** @type {string} */ program) => {
      const image = unpacked.get(program)
      if (image === undefined) throw new Error(`there is no image of ${program}`)
      return image
    }
    const commandOf = (/** @type {string} */ program) => {
      const { root, config, user } = imageOf(program)
      const namespace = ['unshare', '--mount', 'sh', '-c', START, 'sh', root, ...user, emulator]
      return ['env', '-i', ...config.Env, ...namespace, ...emulated, ...config.Entrypoint]
    }
    for (const program of unpacked.keys()) {
      const [command = '', ...args] = [...commandOf(program), 'version', '--json']
      const version = JSON.parse(execFileSync(command, args, { encoding: 'utf8' }))
      if (version.commit !== commit) throw new Error(`${program} says ${JSON.stringify(version)}`)
    }
    const checkHealth = (
      /** @type {number} */ pid,
      /** @type {string} */ program,
      /** @type {string[]} */ args,
    ) => {
      const { root, config, user } = imageOf(program)
      const [kind, ...command] = config.Healthcheck.Test
      if (kind !== 'CMD') throw new Error(`${program}: health check of kind ${kind}`)
      const inside = ['--target', String(pid), '--mount', 'chroot', `--userspec=${user.join(':')}`]
      const words = [...inside, root, ...emulated, ...command, ...args]
      execFileSync('env', ['-i', ...config.Env, 'nsenter', ...words], { encoding: 'utf8' })
    }
    const answeredAt = await sendRequest(commandOf, undefined, {
      meanwhile: async ({ server, agent, adminUrl }) => {
        checkHealth(server.pid, 'adit-server', ['--url', adminUrl]) // not at the default port
        checkHealth(agent.pid, 'adit', [])
      },
    })
    const time = firstAnswer(beganAt, answeredAt)
    return `images: as their user on a read-only root, ${time}, and both health checks`
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * @param {string} file - archive of an image
 * @param {string} folder - must not exist
 */
function unpack(file, folder) {
  const root = join(folder, 'root')
  mkdirSync(root, { recursive: true })
  execFileSync('tar', ['-xzf', file, '-C', folder])
  const [{ Config, Layers }] = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
  for (const layer of Layers) execFileSync('tar', ['-xpf', join(folder, layer), '-C', root])
  const { config } = JSON.parse(readFileSync(join(folder, Config), 'utf8'))
  const user = String(config.User).split(':')
  if (user.length !== 2 || !user.every((id) => Number(id) > 0)) {
    throw new Error(`${file} has the user ${config.User}, not the numbers of a user and a group`)
  }
  for (const path of OWN_FOLDERS) {
    // a new volume has the owner and the mode of the folder
    const { uid, gid, mode } = statSync(join(root, path))
    if (`${uid}:${gid}` !== config.User || (mode & 0o777) !== 0o700) {
      throw new Error(`${file}: ${path} is not a folder of ${config.User} alone`)
    }
  }
  return { root, config, user }
}
