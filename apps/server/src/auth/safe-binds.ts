/**
 * Every machine on the internet can use a server that asks for no credentials. So a port that asks for none
 * listens on loopback, unless the operator explicitly allows more.
 */
import { EXIT, UserError } from '@proj/program-kit'
import { formatListenAddress, isLoopbackBind, type ListenAddress } from '@proj/config/address'

import type { PortName } from './authenticator.ts'

/** One port, as it is configured. */
export interface PortBinds {
  readonly name: PortName
  readonly addresses: readonly ListenAddress[]
  /** Whether an operator chose the addresses. */
  readonly isChosen: boolean
  /** Whether an access list says who may connect. */
  readonly hasAllowList: boolean
  /** Whether peers have to authenticate. */
  readonly isProtected: boolean
}

/** Where a port shall listen. */
export interface SafeBinds {
  readonly name: PortName
  readonly addresses: readonly ListenAddress[]
  /** Whether it listens on loopback only because nothing protects it. */
  readonly isWithheld: boolean
  /** Whether other machines can connect without credentials, because `insecure_open` is set. */
  readonly isOpen: boolean
}

/** What an operator can do about a port that nothing protects. */
export const PROTECTION_HINT =
  "create a token: adit-server token create --endpoints '*' --may listen,connect; or set keys in " +
  'NAME.auth, an allow list in NAME.allow, or --insecure-open to allow connections without credentials'

/**
 * Decides where ports listen.
 *
 * @param insecureOpen - whether the operator allows ports that other machines can use without credentials.
 * @throws {UserError} exit code 2 for a chosen address that others reach and nothing protects.
 */
export function safeBinds(ports: readonly PortBinds[], insecureOpen: boolean): SafeBinds[] {
  // Agents decide what visitors reach, so the proxy port may be public once agents authenticate.
  const agentsAreKnown = ports.some(({ name, isProtected }) => name === 'upstream' && isProtected)
  return ports.map((port) => {
    const { name, addresses, isChosen } = port
    const isSafe = port.isProtected || port.hasAllowList || (name === 'proxy' && agentsAreKnown)
    const reachable = addresses.find((address) => !isLoopbackBind(address))
    const as = { name, addresses, isWithheld: false, isOpen: false }
    if (isSafe || reachable === undefined) return as
    if (insecureOpen) return { ...as, isOpen: true }
    if (!isChosen) return { ...as, addresses: addresses.map(onLoopback), isWithheld: true }
    throw new UserError(
      `${name}.bind_addr: other machines can connect to ${formatListenAddress(reachable)} without credentials`,
      { exitCode: EXIT.usage, hint: hintFor(name) },
    )
  })
}

/** What can be done about one port. */
export function hintFor(name: PortName): string {
  return PROTECTION_HINT.replaceAll('NAME', name)
}

function onLoopback(address: ListenAddress): ListenAddress {
  if (address.kind !== 'tcp') return address
  return { ...address, host: 'localhost', hostKind: 'localhost', family: 'both' }
}
