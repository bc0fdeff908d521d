/**
 * What can be said about every port that a program opens, beside its address: what to do when the port
 * is taken, and who may connect. Both programs list these settings and hand them to portcheck.
 */
import {
  addressBlock,
  duration,
  list,
  oneOf,
  type Resolved,
  type RuleProblem,
  setting,
  type Setting,
} from '@proj/config'
import { formatAddressBlock, formatListenAddress, type AddressBlock } from '@proj/config/address'

import type { Binds } from './overlapping-binds.ts'

const TCP_HINT = 'write a port, such as :8080, 127.0.0.1:8080 or [::1]:8080'

/** Settings of a listener, to be spread into a group or an object. */
export const LISTENER_SETTINGS: {
  /** What a taken port leads to. */
  readonly onConflict: Setting<'fail' | 'wait' | 'next'>
  /** How long `wait` waits. */
  readonly waitMs: Setting<number>
  /** Who may connect; undefined: all addresses. */
  readonly allow: Setting<readonly AddressBlock[] | undefined>
  /** Addresses and blocks that may not connect, also when `allow` has them. */
  readonly deny: Setting<readonly AddressBlock[]>
} = {
  onConflict: setting(oneOf(['fail', 'wait', 'next']), {
    default: 'fail',
    description: 'When the port is taken: end, wait until it is free, or take the next free one.',
  }),
  waitMs: setting(duration(), {
    default: '10s',
    description: 'How long on-conflict=wait waits.',
  }),
  allow: setting(list(addressBlock()), {
    reload: 'live',
    description: 'Who may connect: addresses and blocks of them; unset: all.',
  }),
  deny: setting(list(addressBlock()), {
    default: [],
    reload: 'live',
    description: 'Who may not connect, even when allowed.',
  }),
}

/** The values of `LISTENER_SETTINGS`. */
export type ListenerSettings = Resolved<typeof LISTENER_SETTINGS>

/** A rule for `defineSettings`: the programs listen on TCP ports, nothing else. */
export function* bindsAreTcp(settings: readonly Binds[]): Generator<RuleProblem> {
  for (const { key, addresses } of settings) {
    const other = addresses.find((address) => address.kind !== 'tcp')
    if (other === undefined) continue
    yield { key, message: `${formatListenAddress(other)} is no TCP address`, hint: TCP_HINT }
  }
}

/** Access lists as portcheck takes them. */
export interface AccessLists {
  /** Addresses and blocks that may connect; undefined: all. */
  readonly allow: readonly string[] | undefined
  /** Addresses and blocks that may not connect, also when `allow` has them. */
  readonly deny: readonly string[]
}

/** Who may connect, as portcheck takes it. */
export function accessLists({
  allow,
  deny,
}: Pick<ListenerSettings, 'allow' | 'deny'>): AccessLists {
  return { allow: allow?.map(formatAddressBlock), deny: deny.map(formatAddressBlock) }
}

/** What a log line about a listener goes to. */
interface BindLogger {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** What becomes of a taken port, as portcheck takes it. */
export interface ConflictPolicy {
  /** Every address, or none. */
  readonly require: 'all'
  /** What is done about a taken port. */
  readonly conflict: ListenerSettings['onConflict']
  /** How long `wait` waits, ms. */
  readonly waitMs: number
  /** Says in the log who is waited for. */
  readonly onWait: (error: Error) => void
}

/**
 * What becomes of a taken port.
 *
 * @param listener - name of the listener in the log.
 */
export function conflictPolicy(
  { onConflict, waitMs }: Pick<ListenerSettings, 'onConflict' | 'waitMs'>,
  { listener, logger }: { readonly listener: string; readonly logger: BindLogger },
): ConflictPolicy {
  return {
    require: 'all',
    conflict: onConflict,
    waitMs,
    onWait: ({ message }) => logger.warn({ listener, why: message, waitMs }, 'waiting for a port'),
  }
}
