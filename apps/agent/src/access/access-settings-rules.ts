import type { RuleProblem } from '@proj/config'
import { isLoopbackBind, formatListenAddress } from '@proj/config/address'

import type { AccessSettings } from './access-settings.ts'

/**
 * A rule for accesses: an address that other machines can reach needs `public` or an allow list. The
 * service behind an access cannot tell who connects.
 */
export function* publicBindsAreMeant(accesses: readonly AccessSettings[]): Generator<RuleProblem> {
  for (const [index, access] of accesses.entries()) {
    if (access.public || access.allow !== undefined) continue
    const reachable = access.bindAddr.find((address) => !isLoopbackBind(address))
    if (reachable === undefined) continue
    yield {
      key: `accesses[${index}].bind_addr`,
      message: `other machines can connect to ${formatListenAddress(reachable)}, and neither public nor allow is set`,
      hint: 'bind 127.0.0.1 or localhost, list the clients in allow, or set public (--public)',
    }
  }
}

/** A rule for accesses: options for ports need TCP addresses, options for sockets need unix sockets. */
export function* bindsFitTheirOptions(accesses: readonly AccessSettings[]): Generator<RuleProblem> {
  for (const [index, { bindAddr, onConflict, allow, deny }] of accesses.entries()) {
    const key = (name: string): string => `accesses[${index}].${name}`
    for (const address of bindAddr) {
      if (address.kind !== 'fd') continue
      yield {
        key: key('bind_addr'),
        message: `${formatListenAddress(address)} cannot be bound`,
        hint: 'write a port, such as 127.0.0.1:8080, or unix:/path',
      }
    }
    const unix = bindAddr.find(({ kind }) => kind === 'unix')
    if (unix === undefined) continue
    if (onConflict === 'next') {
      const message = `a unix socket, ${formatListenAddress(unix)}, has no next free port`
      yield { key: key('on_conflict'), message, hint: 'use fail, wait or retry' }
    }
    const listed = allow !== undefined ? 'allow' : deny.length > 0 ? 'deny' : undefined
    if (listed !== undefined && bindAddr.every(({ kind }) => kind === 'unix')) {
      const message = 'clients of a unix socket have no address'
      yield { key: key(listed), message, hint: 'limit the clients with socket_mode' }
    }
  }
}
