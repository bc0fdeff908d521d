/**
 * A program as a service that starts with the machine or the session: the text that systemd, launchd or
 * the task scheduler of Windows reads. No text holds a secret: all users of a machine can read it.
 */

/** What a service runs and needs, whatever starts it. */
export interface ServiceDefinition {
  /** Name of the program and of its service. */
  readonly program: string
  /** What lists of services show. */
  readonly title: string
  /** Arguments of the program, with a configuration file. */
  readonly argumentsOf: (configFile: string) => readonly string[]
  /** What it keeps in `/var/lib/adit`; undefined: nothing. */
  readonly state?: string
  /** Whether it carries many connections at once. */
  readonly carriesMany?: boolean
  /** Variable that names the file of its token; undefined: it needs none. */
  readonly tokenVariable?: string
}

/** How the program is started. */
export interface ServiceCommand {
  /** Path of the program, with the arguments that come before its own. */
  readonly command: readonly string[]
  /** Absolute path of the configuration file. */
  readonly configFile: string
}

/** User of the services of a machine. */
export const SERVICE_USER = 'adit'

/** The token of a service of the machine: of root, mode 600. */
export const TOKEN_FILE = '/etc/adit/token'

const REPOSITORY = 'https://github.com/proj/adit'

/** Found in every text that is written, and in no other: files without it are not touched. */
export function serviceMark(program: string): string {
  return `Written by: ${program} service install`
}

/**
 * Writes the unit of a service of the machine. It has few rights: `systemd-analyze security` rates it below
 * 2 of 10.
 */
export function systemdUnit(service: ServiceDefinition, started: ServiceCommand): string {
  const { program, state, carriesMany, tokenVariable } = service
  return lines([
    ...unitHead(service),
    'After=network-online.target',
    'Wants=network-online.target',
    ...serviceHead(service, started),
    ...(carriesMany ? ['LimitNOFILE=65536'] : []),
    '',
    ...(tokenVariable === undefined
      ? []
      : [
          '# The file of the token is read by systemd; the service sees a copy that it alone can read.',
          `LoadCredential=token:${TOKEN_FILE}`,
          `Environment=${tokenVariable}=%d/token`,
        ]),
    ...(state === undefined
      ? [
          `User=${SERVICE_USER}`,
          `# The socket for ${program} status, add and remove is below /run/adit.`,
          'RuntimeDirectory=adit',
          'Environment=XDG_RUNTIME_DIR=%t/adit',
        ]
      : [
          `# ${state} are in /var/lib/adit.`,
          `User=${SERVICE_USER}`,
          'StateDirectory=adit',
          'StateDirectoryMode=0700',
        ]),
    'UMask=0077',
    '',
    ...(carriesMany
      ? [
          '# For ports below 1024, such as 80 and 443: CAP_NET_BIND_SERVICE in both lines, and PrivateUsers=no.',
        ]
      : []),
    'CapabilityBoundingSet=',
    'AmbientCapabilities=',
    '',
    'NoNewPrivileges=yes',
    'LockPersonality=yes',
    'PrivateDevices=yes',
    'PrivateTmp=yes',
    'PrivateUsers=yes',
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHome=yes',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'ProtectProc=invisible',
    'ProtectSystem=strict',
    'RemoveIPC=yes',
    'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'SystemCallArchitectures=native',
    'SystemCallFilter=@system-service',
    'SystemCallFilter=~@privileged',
    'SystemCallErrorNumber=EPERM',
    '# MemoryDenyWriteExecute stays out: Node compiles JavaScript while it runs.',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ])
}

/** Writes the unit of a service of one user, who has no right to take away more than this. */
export function systemdUserUnit(service: ServiceDefinition, started: ServiceCommand): string {
  return lines([
    ...unitHead(service),
    ...serviceHead(service, started),
    ...(service.carriesMany ? ['LimitNOFILE=65536'] : []),
    'UMask=0077',
    '',
    'NoNewPrivileges=yes',
    'LockPersonality=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'SystemCallArchitectures=native',
    '',
    '[Install]',
    'WantedBy=default.target',
  ])
}

/**
 * Writes the property list of a launchd agent of one user. No test runs it.
 *
 * @param logFile - where its output goes
 */
export function launchdAgent(
  { program, argumentsOf }: ServiceDefinition,
  { command, configFile }: ServiceCommand,
  logFile: string,
): string {
  const words = [...command, ...argumentsOf(configFile)]
  return lines([
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    `<!-- ${serviceMark(program)} -->`,
    '<plist version="1.0">',
    '<dict>',
    `  <key>Label</key><string>${xml(program)}</string>`,
    '  <key>ProgramArguments</key>',
    '  <array>',
    ...words.map((word) => `    <string>${xml(word)}</string>`),
    '  </array>',
    '  <key>RunAtLoad</key><true/>',
    '  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>',
    '  <key>ExitTimeOut</key><integer>70</integer>',
    '  <key>Umask</key><integer>63</integer>',
    `  <key>StandardOutPath</key><string>${xml(logFile)}</string>`,
    `  <key>StandardErrorPath</key><string>${xml(logFile)}</string>`,
    '</dict>',
    '</plist>',
  ])
}

/**
 * Writes the task of one user of Windows, which starts when the user logs on. A service of Windows has to
 * talk to the service manager, which Node cannot. No test runs it.
 *
 * @param user - `DOMAIN\name`
 */
export function windowsTask(
  { program, title, argumentsOf }: ServiceDefinition,
  { command, configFile }: ServiceCommand,
  user: string,
): string {
  const [file = '', ...before] = command
  const words = [...before, ...argumentsOf(configFile)].map(windowsWord).join(' ')
  return lines([
    '<?xml version="1.0" encoding="UTF-16"?>',
    '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">',
    `  <RegistrationInfo><Description>${xml(`${title}. ${serviceMark(program)}`)}</Description></RegistrationInfo>`,
    `  <Triggers><LogonTrigger><Enabled>true</Enabled><UserId>${xml(user)}</UserId></LogonTrigger></Triggers>`,
    `  <Principals><Principal id="Author"><UserId>${xml(user)}</UserId><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel></Principal></Principals>`,
    '  <Settings>',
    '    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>',
    '    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>',
    '    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>',
    '    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>',
    '    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>',
    '  </Settings>',
    `  <Actions Context="Author"><Exec><Command>${xml(file)}</Command><Arguments>${xml(words)}</Arguments></Exec></Actions>`,
    '</Task>',
  ])
}

function unitHead({ program, title }: ServiceDefinition): string[] {
  return [
    `# ${serviceMark(program)}`,
    '[Unit]',
    `Description=${title}`,
    `Documentation=${REPOSITORY}`,
  ]
}

function serviceHead({ argumentsOf }: ServiceDefinition, started: ServiceCommand): string[] {
  const words = [...started.command, ...argumentsOf(started.configFile)]
  return [
    '',
    '[Service]',
    'Type=exec',
    `ExecStart=${words.map(systemdWord).join(' ')}`,
    'ExecReload=/bin/kill -HUP $MAINPID',
    'Restart=on-failure',
    'RestartSec=2',
    '# As long as grace_period, and some seconds.',
    'TimeoutStopSec=70',
  ]
}

/** A word of ExecStart (systemd.service(5), "Command lines"): specifiers, variables and quotes stand for themselves. */
function systemdWord(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  if (/^[\w@%+=:,./$-]+$/.test(escaped)) return escaped
  return `"${escaped.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
}

/** A word as `CommandLineToArgvW` of Windows reads it. */
function windowsWord(word: string): string {
  if (/^[^\s"]+$/.test(word)) return word
  return `"${word.replaceAll(/(\\*)"/g, String.raw`$1$1\"`).replaceAll(/(\\+)$/g, '$1$1')}"`
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`
}
