import type { LoadedSettings } from '@proj/config'
import { type ListenAddress, parseListenAddress } from '@proj/config/address'
import type { InheritedSockets } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'

import type { ServerTree } from '../settings.ts'
import type { Authenticator, PortName } from './authenticator.ts'
import { hintFor, safeBinds } from './safe-binds.ts'

const PORTS: readonly PortName[] = ['proxy', 'upstream', 'admin']

/** What decides where ports listen, besides the settings. */
interface BindParts {
  readonly authenticator: Authenticator
  /** A port without an address in the settings listens on those with its name. */
  readonly inherited: Pick<InheritedSockets, 'addressesOf'>
  readonly logger: Logger
}

/**
 * Where the ports of a configuration listen, and says so where that is not what an operator expects.
 *
 * @throws {UserError} exit code 2 for an address that other machines reach and nothing protects.
 */
export function configuredBinds(
  { settings, values }: Pick<LoadedSettings<ServerTree>, 'settings' | 'values'>,
  { authenticator, inherited, logger }: BindParts,
): Readonly<Record<PortName, readonly ListenAddress[]>> {
  const origins = new Map(values.map(({ key, origin }) => [key, origin.kind]))
  const ports = PORTS.map((name) => {
    const isSet = origins.get(`${name}.bind_addr`) !== 'default'
    const given = isSet ? [] : inherited.addressesOf(name).map(parseListenAddress)
    return {
      name,
      addresses: given.length > 0 ? given : settings[name].bindAddr,
      isChosen: isSet || given.length > 0,
      hasAllowList: settings[name].allow !== undefined,
      isProtected: authenticator.isProtected(name),
    }
  })
  const safe = safeBinds(ports, settings.insecureOpen)
  const withheld = safe.filter(({ isWithheld }) => isWithheld).map(({ name }) => name)
  if (withheld.length > 0) {
    logger.warn(
      { ports: withheld, hint: hintFor('upstream') },
      'only this machine can connect, because no credentials are required',
    )
  }
  for (const { name, isOpen } of safe) {
    if (isOpen) {
      logger.warn(
        { listener: name, hint: hintFor(name) },
        'other machines can connect without credentials, because insecure_open is set',
      )
    }
  }
  const addressesOf = (name: PortName): readonly ListenAddress[] =>
    safe.find((port) => port.name === name)?.addresses ?? []
  return {
    proxy: addressesOf('proxy'),
    upstream: addressesOf('upstream'),
    admin: addressesOf('admin'),
  }
}
