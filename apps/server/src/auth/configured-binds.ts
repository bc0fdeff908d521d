import type { LoadedSettings } from '@proj/config'
import type { ListenAddress } from '@proj/config/address'
import type { Logger } from '@proj/tunnel'

import type { ServerTree } from '../settings.ts'
import type { Authenticator, PortName } from './authenticator.ts'
import { hintFor, safeBinds } from './safe-binds.ts'

const PORTS: readonly PortName[] = ['proxy', 'upstream', 'admin']

/**
 * Where the ports of a configuration listen, and says so where that is not what an operator expects.
 *
 * @throws {UserError} exit code 2 for an address that must not be open to strangers.
 */
export function configuredBinds(
  { settings, values }: Pick<LoadedSettings<ServerTree>, 'settings' | 'values'>,
  authenticator: Authenticator,
  logger: Logger,
): Readonly<Record<PortName, readonly ListenAddress[]>> {
  const origins = new Map(values.map(({ key, origin }) => [key, origin.kind]))
  const ports = PORTS.map((name) => ({
    name,
    addresses: settings[name].bindAddr,
    isChosen: origins.get(`${name}.bind_addr`) !== 'default',
    hasAllowList: settings[name].allow !== undefined,
    isProtected: authenticator.isProtected(name),
  }))
  const safe = safeBinds(ports, settings.insecureOpen)
  const withheld = safe.filter(({ isWithheld }) => isWithheld).map(({ name }) => name)
  if (withheld.length > 0) {
    logger.warn(
      { ports: withheld, hint: hintFor('upstream') },
      'only this machine can connect, because nobody is asked for a token',
    )
  }
  for (const { name, isOpen } of safe) {
    if (isOpen) {
      logger.warn(
        { listener: name, hint: hintFor(name) },
        'open to whoever comes, as insecure_open wants it',
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
