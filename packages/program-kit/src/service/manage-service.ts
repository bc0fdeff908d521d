/** `service install`, `status` and `uninstall`: puts a program under the service manager of the machine. */
import { execFile } from 'node:child_process'
import { lstat, mkdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative } from 'node:path'

import { EXIT } from '../process/exit-code.ts'
import {
  launchdDomain,
  managerOf,
  planService,
  ServiceError,
  serviceFile,
  type ServicePlace,
  type ServicePlan,
  USER_COMMAND,
} from './service-plan.ts'
import {
  SERVICE_USER,
  type ServiceCommand,
  type ServiceDefinition,
  serviceMark,
  TOKEN_FILE,
} from './service-text.ts'

/** A service as its manager sees it. */
export interface ServiceState {
  /** Whether the service runs. */
  readonly running: boolean
  /** Its file; undefined: it is not installed by this program. */
  readonly file: string | undefined
  /** What the service manager says about it. */
  readonly manager: Readonly<Record<string, string>>
}

/** Folders with units of packages and administrators, of the machine and of users. */
const UNIT_FOLDERS = ['/etc', '/run', '/usr/local/lib', '/usr/lib', '/lib'].map(
  (base) => `${base}/systemd`,
)

/** Folders that a service of the machine does not see: its unit hides them. */
const HIDDEN = ['/home/', '/root/', '/run/user/', '/tmp/', '/var/tmp/']

/** Longest time of a command of the service manager, ms: it stops the service, which may drain. */
const COMMAND_MS = 120_000

/**
 * Writes the file of a service and starts it; again for one that it has installed before.
 *
 * @throws {ServiceError} when it cannot be installed as it should.
 */
export async function installService(
  service: ServiceDefinition,
  started: ServiceCommand,
  place: ServicePlace,
): Promise<ServicePlan> {
  const plan = planService(service, started, place)
  const { file, text, encoding } = plan
  const isOfMachine = managerOf(place) === 'systemd' && !place.user
  await requireManager(place)
  await refuseForeign(service, place)
  const hidden = isOfMachine ? await hiddenFile(started, place) : undefined
  if (hidden !== undefined) {
    throw new ServiceError(
      'SERVICE_PROGRAM_HIDDEN',
      `a service of the machine does not see ${hidden}`,
      {
        exitCode: EXIT.usage,
        hint: 'install the program for all users, or add --user',
      },
    )
  }
  if ((await modeOf(rooted(started.configFile, place))) === undefined) {
    throw new ServiceError('SERVICE_CONFIG_MISSING', `${started.configFile} does not exist`, {
      exitCode: EXIT.usage,
      hint: `write one: ${service.program} config init ${started.configFile}`,
    })
  }
  if (isOfMachine && service.tokenVariable !== undefined) await checkToken(place)
  try {
    await mkdir(dirname(rooted(file, place)), { recursive: true })
    await writeFile(rooted(file, place), text, { encoding, mode: 0o644 })
  } catch (error) {
    throw cannotWrite(file, error)
  }
  if (isOfMachine && (await run(['getent', 'passwd', SERVICE_USER], place)).code !== 0) {
    await mustRun(USER_COMMAND, place)
  }
  // launchd rejects a label that it has already
  if (managerOf(place) === 'launchd') await run(launchdBootout(service), place)
  for (const command of plan.start) await mustRun(command, place)
  return plan
}

/** Stops a service and removes its file. Configuration, token, state and user stay. */
export async function uninstallService(
  service: ServiceDefinition,
  place: ServicePlace,
): Promise<string> {
  const { program } = service
  const file = serviceFile(service, place)
  await requireManager(place)
  if ((await ownerOf(service, file, place)) === 'nothing') {
    throw new ServiceError(
      'SERVICE_NOT_INSTALLED',
      `${file} does not exist: the service is not installed`,
      {
        exitCode: EXIT.failed,
        hint: place.user
          ? 'without --user it is the service of the machine'
          : 'add --user for the service of this user',
      },
    )
  }
  await refuseForeign(service, place)
  const systemctl = place.user ? ['systemctl', '--user'] : ['systemctl']
  const manager = managerOf(place)
  if (manager === 'systemd') {
    await mustRun([...systemctl, 'disable', '--now', `${program}.service`], place)
  } else if (manager === 'launchd') await run(launchdBootout(service), place)
  else await mustRun(['schtasks', '/Delete', '/F', '/TN', program], place)
  try {
    await rm(rooted(file, place))
  } catch (error) {
    throw cannotWrite(file, error)
  }
  if (manager === 'systemd') await mustRun([...systemctl, 'daemon-reload'], place)
  return file
}

/** Asks the service manager about a service. */
export async function readServiceState(
  service: ServiceDefinition,
  place: ServicePlace,
): Promise<ServiceState> {
  const { program } = service
  await requireManager(place)
  const own = serviceFile(service, place)
  const file = (await ownerOf(service, own, place)) === 'us' ? own : undefined
  if (managerOf(place) === 'systemd') {
    const names = ['ActiveState', 'SubState', 'UnitFileState', 'FragmentPath', 'MainPID']
    const scope = place.user ? ['--user'] : []
    const shown = await mustRun(
      [
        'systemctl',
        ...scope,
        'show',
        `${program}.service`,
        ...names.map((name) => `--property=${name}`),
      ],
      place,
    )
    const pairs = shown.split('\n').filter((line) => line.includes('='))
    const manager = Object.fromEntries(
      pairs.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
    return { running: manager['ActiveState'] === 'active', file, manager }
  }
  const command =
    managerOf(place) === 'launchd'
      ? ['launchctl', 'print', `${launchdDomain()}/${program}`]
      : ['schtasks', '/Query', '/V', '/FO', 'LIST', '/TN', program]
  const { code, stdout } = await run(command, place)
  return {
    running: code === 0 && /state = running|Running/.test(stdout),
    file,
    manager: { output: stdout },
  }
}

async function requireManager(place: ServicePlace): Promise<void> {
  if (managerOf(place) !== 'systemd') return
  if ((await modeOf(rooted('/run/systemd/system', place))) !== undefined) return
  throw new ServiceError('SERVICE_NO_MANAGER', 'systemd does not run on this machine', {
    exitCode: EXIT.failed,
    hint: 'service install --print shows the unit for another machine',
  })
}

/** Rejects when a service of this name is not ours: a package or an administrator has written it. */
async function refuseForeign(service: ServiceDefinition, place: ServicePlace): Promise<void> {
  const own = serviceFile(service, place)
  const scope = place.user ? 'user' : 'system'
  const others =
    managerOf(place) === 'systemd'
      ? UNIT_FOLDERS.map((folder) => join(folder, scope, basename(own)))
      : []
  for (const file of new Set([own, ...others])) {
    if ((await ownerOf(service, file, place)) !== 'others') continue
    throw new ServiceError(
      'SERVICE_FOREIGN',
      `${file} was not written by ${service.program} service install`,
      {
        exitCode: EXIT.usage,
        hint: `use it as it is, such as with systemctl enable --now ${service.program}, or remove it first`,
      },
    )
  }
}

/** Who has written a file. A link, with which systemctl masks a unit, is that of others. */
async function ownerOf(
  { program }: ServiceDefinition,
  file: string,
  place: ServicePlace,
): Promise<'us' | 'others' | 'nothing'> {
  const path = rooted(file, place)
  try {
    if (!(await lstat(path)).isFile()) return 'others'
    const bytes = await readFile(path)
    const text = bytes.toString(path.endsWith('.xml') ? 'utf16le' : 'utf8')
    return text.includes(serviceMark(program)) ? 'us' : 'others'
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'nothing' : 'others'
  }
}

/** The first file of a program that a service of the machine does not see, also behind links. */
async function hiddenFile(
  { command }: ServiceCommand,
  place: ServicePlace,
): Promise<string | undefined> {
  const root = await realpath(rooted('/', place))
  for (const word of command.filter(isAbsolute)) {
    // npm installs a link to the script, which may lead to a checkout
    const file = await realpath(rooted(word, place)).then(
      (found) => join('/', relative(root, found)),
      () => word,
    )
    if (HIDDEN.some((folder) => file.startsWith(folder))) return file
  }
  return undefined
}

async function checkToken(place: ServicePlace): Promise<void> {
  const mode = await modeOf(rooted(TOKEN_FILE, place))
  if (mode === undefined) {
    throw new ServiceError('SERVICE_TOKEN_MISSING', `${TOKEN_FILE} does not exist`, {
      exitCode: EXIT.usage,
      hint: `write the token of the agent: install -m 600 /dev/stdin ${TOKEN_FILE}`,
    })
  }
  if ((mode & 0o077) !== 0) {
    throw new ServiceError('SERVICE_TOKEN_EXPOSED', `${TOKEN_FILE} can be read by other users`, {
      exitCode: EXIT.usage,
      hint: `chmod 600 ${TOKEN_FILE}`,
    })
  }
}

function launchdBootout({ program }: ServiceDefinition): string[] {
  return ['launchctl', 'bootout', `${launchdDomain()}/${program}`]
}

function cannotWrite(file: string, error: unknown): ServiceError {
  const { message } = error as Error
  return new ServiceError('SERVICE_NO_RIGHT', `${file} cannot be written or removed: ${message}`, {
    exitCode: EXIT.failed,
    hint: 'run it as root, or add --user for a service of this user',
    cause: error,
  })
}

async function modeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mode
  } catch {
    return undefined
  }
}

function rooted(file: string, { root }: ServicePlace): string {
  return root === undefined ? file : join(root, file)
}

async function mustRun(command: readonly string[], place: ServicePlace): Promise<string> {
  const { code, stdout, stderr } = await run(command, place)
  if (code === 0) return stdout
  throw new ServiceError(
    'SERVICE_COMMAND_FAILED',
    `${command.join(' ')}: ${stderr.trim() || `exit code ${code}`}`,
    {
      exitCode: EXIT.failed,
      hint: 'solve that problem, then run the same command again',
    },
  )
}

async function run(
  [file = '', ...args]: readonly string[],
  { env }: ServicePlace,
): Promise<{ readonly code: number | string; readonly stdout: string; readonly stderr: string }> {
  return await new Promise((resolve) => {
    execFile(file, args, { env, timeout: COMMAND_MS }, (error, stdout, stderr) => {
      const code = error === null ? 0 : (error.code ?? error.signal ?? 1)
      resolve({ code, stdout, stderr: stderr === '' && error !== null ? error.message : stderr })
    })
  })
}
