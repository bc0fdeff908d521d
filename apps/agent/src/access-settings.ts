import { isLoopbackBind, LISTENER_SETTINGS } from '@proj/console'
import {
  boolean,
  duration,
  formatListenAddress,
  listenAddresses,
  oneOf,
  type Resolved,
  type RuleProblem,
  setting,
  text,
} from '@proj/config'

/** What a taken address leads to. */
export const ACCESS_CONFLICTS = ['fail', 'wait', 'next', 'retry'] as const

/** What can be said about an access beside its endpoint. */
export const ACCESS_SETTINGS = {
  bindAddr: setting(listenAddresses(), {
    required: true,
    description: 'Where it is reached from here: 127.0.0.1:9901, localhost:0, unix:/path.',
  }),
  timeoutMs: setting(duration({ min: '10ms' }), {
    default: '15s',
    description: 'How long a connection waits for the server while there is none.',
  }),
  ...LISTENER_SETTINGS,
  onConflict: setting(oneOf(ACCESS_CONFLICTS), {
    default: 'fail',
    description:
      'When the address is taken: end, wait until it is free, take the next free port, or serve ' +
      'the others and try for ever.',
  }),
  public: setting(boolean(), {
    default: 'false',
    description:
      'Other machines may connect: needed to bind more than loopback without an allow list.',
  }),
  socketMode: setting(
    text({ pattern: /0?[0-7]{3}/, allowed: 'permissions in octal, such as 0660', name: 'mode' }),
    { default: '0600', description: 'Permissions of a unix socket: who may connect.' },
  ),
}

/** One access as it is configured. */
export type AccessSettings = Resolved<typeof ACCESS_SETTINGS> & { readonly endpoint: string }

/** Permissions of an access's unix sockets. */
export function socketMode({ socketMode: mode }: Pick<AccessSettings, 'socketMode'>): number {
  return Number.parseInt(mode, 8)
}

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
