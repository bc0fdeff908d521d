import { hostname } from 'node:os'

import {
  EXIT,
  UserError,
  type ArgumentValue,
  type ArgumentValues,
  type ParsedCommand,
} from '@proj/program-kit'

import type { OwnCommands } from './commands.ts'
import { madeUpName } from './made-up-name.ts'

/** Flags of `adit http` and `adit tcp` for visitors; `tcp` has no users. */
interface VisitorFlags {
  readonly visitorAllow: readonly string[] | undefined
  readonly visitorDeny: readonly string[] | undefined
  readonly visitorEnforce: string | undefined
  readonly visitorUser?: string | undefined
  readonly visitorPasswordFile?: string | undefined
}

/** Flags of `adit http` for a service with TLS. */
interface ServiceTlsFlags {
  readonly serviceCa: string | undefined
  readonly serviceName: string | undefined
  readonly serviceCert: string | undefined
  readonly serviceKey: string | undefined
  readonly insecureService: boolean
}

/** What a made-up name depends on, besides the machine and the address. */
export interface Naming {
  /** The folder that the program was started in. */
  readonly folder: string
  /** How many names were taken. */
  readonly attempt: number
}

/** Address of an access by default: a free port on loopback, which the program prints. */
const DEFAULT_BIND = '127.0.0.1:0'

/**
 * Turns the arguments of a command into settings. `start` has none: its settings are in files.
 *
 * @param naming - what a made-up name depends on.
 * @throws {UserError} exit code 2 when they cannot be combined.
 */
export function argumentsOf(
  command: ParsedCommand<OwnCommands>,
  naming: Naming = { folder: '', attempt: 0 },
): ArgumentValues {
  switch (command.name) {
    case 'http': {
      const { endpoint, address } = publishedBy(command.args, naming)
      const listener = { endpoint, addr: address, protocol: 'http', ...httpOf(command.flags) }
      return { listeners: [listener], accesses: [] }
    }
    case 'tcp': {
      const { endpoint, address } = command.args
      const listener = { endpoint, addr: address, protocol: 'tcp', ...tcpOf(command.flags) }
      return { listeners: [listener], accesses: [] }
    }
    case 'add':
      return { listeners: [addedBy(command, naming)], accesses: [] }
    case 'access':
      return { accesses: accessesOf(command.args.endpoints, command.flags), listeners: [] }
    default:
      return {}
  }
}

/** The listener of `adit add`, as a file would have it. */
export function addedBy(
  { args, flags }: ParsedCommand<Pick<OwnCommands, 'add'>>,
  naming: Naming,
): ArgumentValue {
  const { endpoint, address } = publishedBy(args, naming)
  const { protocol = 'http' } = flags
  return { endpoint, addr: address, protocol, ...tcpOf(flags), ...httpOf(flags) }
}

function httpOf(flags: ParsedCommand<Pick<OwnCommands, 'http'>>['flags']) {
  const { reuse, strictness, hostHeader, cors } = flags
  return {
    ...commonOf(flags),
    reuse,
    strictness,
    host_header: hostHeader,
    cors,
    tls: serviceTlsOf(flags),
    listing: flags.listing ? 'true' : undefined,
  }
}

function tcpOf(flags: ParsedCommand<Pick<OwnCommands, 'tcp'>>['flags']) {
  const { publicPort, proxyProtocol } = flags
  return { ...commonOf(flags), public_port: publicPort, proxy_protocol: proxyProtocol }
}

function commonOf(
  flags: VisitorFlags & { readonly exclusive: boolean; readonly weight: string | undefined },
) {
  return {
    exclusive: flags.exclusive ? 'true' : undefined,
    weight: flags.weight,
    visitors: visitorsOf(flags),
  }
}

/** Whether `adit http` was given an address and no name. */
export function hasMadeUpName(command: ParsedCommand<OwnCommands>): boolean {
  return command.name === 'http' && command.args.address === undefined
}

/** One argument alone is the address. */
function publishedBy(
  { endpoint, address }: { readonly endpoint: string; readonly address: string | undefined },
  { folder, attempt }: Naming,
): { readonly endpoint: string; readonly address: string } {
  if (address !== undefined) return { endpoint, address }
  return { endpoint: madeUpName([hostname(), folder, endpoint], attempt), address: endpoint }
}

function accessesOf(
  endpoints: readonly string[],
  flags: ParsedCommand<Pick<OwnCommands, 'access'>>['flags'],
): ArgumentValues[] {
  const { bind, onConflict, wait, allow, deny, socketMode, timeout } = flags
  // A single address is no list, so that an error about it names no position.
  const bindAddr = bind.length > 1 ? bind : (bind[0] ?? DEFAULT_BIND)
  const policy = {
    on_conflict: onConflict,
    wait,
    ...(flags.public && { public: 'true' }),
    ...(allow.length > 0 && { allow }),
    ...(deny.length > 0 && { deny }),
    ...(socketMode !== undefined && { socket_mode: socketMode }),
    ...(timeout !== undefined && { timeout }),
  }
  if (bind.length > 0 && (endpoints.length !== 1 || endpoints[0]?.includes('='))) {
    throw new UserError('--bind needs exactly one NAME', {
      exitCode: EXIT.usage,
      hint: 'for several endpoints write NAME=ADDRESS for each',
    })
  }
  return endpoints.map((item) => {
    const at = item.indexOf('=')
    return at < 0
      ? { endpoint: item, bind_addr: bindAddr, ...policy }
      : { endpoint: item.slice(0, at), bind_addr: item.slice(at + 1), ...policy }
  })
}

/** Undefined without any of the flags. */
function serviceTlsOf(flags: ServiceTlsFlags): ArgumentValue | undefined {
  const { serviceCa, serviceName, serviceCert, serviceKey, insecureService } = flags
  const given = {
    root_cas: serviceCa,
    server_name: serviceName,
    cert: serviceCert,
    key: serviceKey,
    insecure_skip_verify: insecureService ? 'true' : undefined,
  }
  return Object.values(given).some((value) => value !== undefined) ? given : undefined
}

function visitorsOf(flags: VisitorFlags): ArgumentValue | undefined {
  const { visitorAllow, visitorDeny, visitorEnforce, visitorUser, visitorPasswordFile } = flags
  if ((visitorUser === undefined) !== (visitorPasswordFile === undefined)) {
    throw new UserError('--visitor-user and --visitor-password-file are needed together', {
      exitCode: EXIT.usage,
      hint: 'list several users in a file, under listeners',
    })
  }
  return {
    allow: visitorAllow,
    deny: visitorDeny,
    enforce: visitorEnforce,
    basic_auth:
      visitorUser === undefined
        ? undefined
        : [{ user: visitorUser, password_file: visitorPasswordFile }],
  }
}
