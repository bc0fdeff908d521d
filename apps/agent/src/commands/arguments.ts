import {
  EXIT,
  UserError,
  type ArgumentValue,
  type ArgumentValues,
  type ParsedCommand,
} from '@proj/program-kit'

import type { OwnCommands } from './commands.ts'

/** Flags of `adit http` and `adit tcp` for visitors; `tcp` has no users. */
interface VisitorFlags {
  readonly visitorAllow: readonly string[] | undefined
  readonly visitorDeny: readonly string[] | undefined
  readonly visitorEnforce: string | undefined
  readonly visitorUser?: string | undefined
  readonly visitorPasswordFile?: string | undefined
}

/** Address of an access by default: a free port on loopback, which the program prints. */
const DEFAULT_BIND = '127.0.0.1:0'

/**
 * Turns the arguments of a command into settings. `start` has none: its settings are in files.
 *
 * @throws {UserError} exit code 2 when they cannot be combined.
 */
export function argumentsOf(command: ParsedCommand<OwnCommands>): ArgumentValues {
  switch (command.name) {
    case 'http': {
      const { endpoint, address } = command.args
      const visitors = visitorsOf(command.flags)
      const exclusive = command.flags.exclusive ? 'true' : undefined
      const { reuse, strictness } = command.flags
      const { serviceCa, serviceName, serviceCert, serviceKey, insecureService } = command.flags
      const tls = {
        root_cas: serviceCa,
        server_name: serviceName,
        cert: serviceCert,
        key: serviceKey,
        insecure_skip_verify: insecureService ? 'true' : undefined,
      }
      const rules = { host_header: command.flags.hostHeader, cors: command.flags.cors }
      const asked = { exclusive, reuse, strictness, tls, visitors, ...rules }
      const listener = { endpoint, addr: address, protocol: 'http', ...asked }
      return { listeners: [listener], accesses: [] }
    }
    case 'tcp': {
      const { endpoint, address } = command.args
      const visitors = visitorsOf(command.flags)
      const { publicPort, proxyProtocol } = command.flags
      const exclusive = command.flags.exclusive ? 'true' : undefined
      const ways = { public_port: publicPort, proxy_protocol: proxyProtocol, exclusive, visitors }
      return { listeners: [{ endpoint, addr: address, protocol: 'tcp', ...ways }], accesses: [] }
    }
    case 'access':
      return { accesses: accessesOf(command.args.endpoints, command.flags), listeners: [] }
    default:
      return {}
  }
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
