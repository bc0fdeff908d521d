/** What the installation of a service writes and runs, for each service manager. */
import { join } from 'node:path'

import type { ServiceErrorCode } from '../errors.ts'
import { EXIT, UserError } from '../process/exit-code.ts'
import {
  launchdAgent,
  SERVICE_USER,
  type ServiceCommand,
  type ServiceDefinition,
  systemdUnit,
  systemdUserUnit,
  windowsTask,
} from './service-text.ts'

/** Why a service was not installed, asked or removed. */
export class ServiceError extends UserError {
  constructor(
    code: ServiceErrorCode,
    message: string,
    options: Omit<ConstructorParameters<typeof UserError>[1], 'code'>,
  ) {
    super(message, { ...options, code })
  }
}

/** Where a service is installed. */
export interface ServicePlace {
  /** Whether it is a service of this user, and not of the machine. */
  readonly user: boolean
  /** Environment: the home of the user, and PATH for the programs of the system. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** @default that of this process */
  readonly platform?: NodeJS.Platform
  /** Folder that stands for the root of the file system. @default the root */
  readonly root?: string
}

/** Text and place of a service, and the commands that make it run. */
export interface ServicePlan {
  /** File that the service manager reads. */
  readonly file: string
  /** Its text. */
  readonly text: string
  /** Encoding of the file. */
  readonly encoding: 'utf8' | 'utf16le'
  /** Commands that run after the file is written. */
  readonly start: readonly (readonly string[])[]
}

/** Makes the user of the services of a machine. */
export const USER_COMMAND: readonly string[] = [
  'useradd',
  '--system',
  '--user-group',
  '--home-dir',
  '/var/lib/adit',
  '--no-create-home',
  '--shell',
  '/usr/sbin/nologin',
  SERVICE_USER,
]

/** Says what an installation writes and runs, without doing it. */
export function planService(
  service: ServiceDefinition,
  started: ServiceCommand,
  place: ServicePlace,
): ServicePlan {
  const { program } = service
  const { user, env } = place
  switch (managerOf(place)) {
    case 'systemd': {
      const systemctl = user ? ['systemctl', '--user'] : ['systemctl']
      const unit = `${program}.service`
      return {
        file: serviceFile(service, place),
        text: user ? systemdUserUnit(service, started) : systemdUnit(service, started),
        encoding: 'utf8',
        start: [
          [...systemctl, 'daemon-reload'],
          [...systemctl, 'enable', unit],
          [...systemctl, 'restart', unit],
        ],
      }
    }
    case 'launchd': {
      const file = serviceFile(service, place)
      const log = join(env['HOME'] ?? '', `Library/Logs/${program}.log`)
      return {
        file,
        text: launchdAgent(service, started, log),
        encoding: 'utf8',
        start: [['launchctl', 'bootstrap', launchdDomain(), file]],
      }
    }
    default: {
      const file = serviceFile(service, place)
      const account = `${env['USERDOMAIN'] ?? '.'}\\${env['USERNAME'] ?? ''}`
      return {
        file,
        text: `\uFEFF${windowsTask(service, started, account)}`,
        encoding: 'utf16le',
        start: [
          ['schtasks', '/Create', '/F', '/TN', program, '/XML', file],
          ['schtasks', '/Run', '/TN', program],
        ],
      }
    }
  }
}

/** The service manager of a place. */
export function managerOf({
  platform = process.platform,
  user,
}: ServicePlace): 'systemd' | 'launchd' | 'tasks' {
  if (platform !== 'darwin' && platform !== 'win32') return 'systemd'
  if (!user) {
    throw new ServiceError(
      'SERVICE_SCOPE_UNSUPPORTED',
      'on this system a service belongs to a user, not to the machine',
      {
        exitCode: EXIT.usage,
        hint: 'add --user',
      },
    )
  }
  return platform === 'darwin' ? 'launchd' : 'tasks'
}

/** Path of the file of a service. */
export function serviceFile({ program }: ServiceDefinition, place: ServicePlace): string {
  const { env, user } = place
  const home = env['HOME'] ?? ''
  switch (managerOf(place)) {
    case 'systemd': {
      const config = env['XDG_CONFIG_HOME'] ?? join(home, '.config')
      return join(user ? `${config}/systemd/user` : '/etc/systemd/system', `${program}.service`)
    }
    case 'launchd':
      return join(home, 'Library/LaunchAgents', `${program}.plist`)
    default:
      return join(env['LOCALAPPDATA'] ?? '', 'adit', `${program}.task.xml`)
  }
}

/** Where launchd keeps the agents of this user. */
export function launchdDomain(): string {
  return `gui/${process.getuid?.() ?? 0}`
}
