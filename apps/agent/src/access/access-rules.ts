import type { RuleProblem } from '@proj/config'
import { isLoopbackBind, formatListenAddress } from '@proj/config/address'

import type { AccessSettings } from './access-settings.ts'

/**
 * A rule for accesses: what other machines can connect to is asked for by an explicit word, or is for
 * those of a list. Nothing behind an access knows who connects to it here.
 */
export function* publicBindsAreMeant(accesses: readonly AccessSettings[]): Generator<RuleProblem> {
  for (const [index, access] of accesses.entries()) {
    if (access.public || access.allow !== undefined) continue
    const reachable = access.bindAddr.find((address) => !isLoopbackBind(address))
    if (reachable === undefined) continue
    yield {
      key: `accesses[${index}].bind_addr`,
      message: `other machines can connect to ${formatListenAddress(reachable)}, which nobody asked for`,
      hint: 'bind 127.0.0.1 or localhost, name who may connect with allow, or say public (--public)',
    }
  }
}

/** A rule for accesses: what is said about ports and about files goes with such binds. */
export function* bindsFitTheirOptions(accesses: readonly AccessSettings[]): Generator<RuleProblem> {
  for (const [index, { bindAddr, onConflict, allow, deny }] of accesses.entries()) {
    const key = (name: string): string => `accesses[${index}].${name}`
    for (const address of bindAddr) {
      if (address.kind !== 'fd') continue
      yield {
        key: key('bind_addr'),
        message: `${formatListenAddress(address)} is no address to bind here`,
        hint: 'write a port, such as 127.0.0.1:8080, or unix:/path',
      }
    }
    const unix = bindAddr.find(({ kind }) => kind === 'unix')
    if (unix === undefined) continue
    if (onConflict === 'next') {
      const message = `there is no next one after ${formatListenAddress(unix)}`
      yield { key: key('on_conflict'), message, hint: 'use fail, wait or retry' }
    }
    const listed = allow !== undefined ? 'allow' : deny.length > 0 ? 'deny' : undefined
    if (listed !== undefined && bindAddr.every(({ kind }) => kind === 'unix')) {
      const message = 'a unix socket has no addresses of clients'
      yield { key: key(listed), message, hint: 'socket_mode says who may connect' }
    }
  }
}
