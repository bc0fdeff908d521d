import { EXIT, UserError } from '@proj/console'
import type { ArgumentValues, ParsedCommand } from '@proj/config'

import type { OwnCommands } from './commands.ts'

/** Where an access is bound when nobody says: a free port of the loopback, which start-up prints. */
const DEFAULT_BIND = '127.0.0.1:0'

/**
 * What a command's arguments say about the settings; `start` leaves them to the files.
 *
 * @throws {UserError} exit code 2 when they cannot go together.
 */
export function argumentsOf(command: ParsedCommand<OwnCommands>): ArgumentValues {
  switch (command.name) {
    case 'http': {
      const { endpoint, address } = command.args
      return { listeners: [{ endpoint, addr: address, protocol: 'http' }], accesses: [] }
    }
    case 'tcp': {
      const { endpoint, address } = command.args
      const { publicPort, proxyProtocol } = command.flags
      const ways = { public_port: publicPort, proxy_protocol: proxyProtocol }
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
  const policy = {
    on_conflict: onConflict,
    wait,
    ...(flags.public && { public: 'true' }),
    ...(allow.length > 0 && { allow }),
    ...(deny.length > 0 && { deny }),
    ...(socketMode !== undefined && { socket_mode: socketMode }),
    ...(timeout !== undefined && { timeout }),
  }
  if (bind !== undefined && (endpoints.length !== 1 || endpoints[0]?.includes('='))) {
    throw new UserError('--bind goes with a single NAME', {
      exitCode: EXIT.usage,
      hint: 'write NAME=ADDRESS for each of several',
    })
  }
  return endpoints.map((item) => {
    const at = item.indexOf('=')
    return at < 0
      ? { endpoint: item, bind_addr: bind ?? DEFAULT_BIND, ...policy }
      : { endpoint: item.slice(0, at), bind_addr: item.slice(at + 1), ...policy }
  })
}
