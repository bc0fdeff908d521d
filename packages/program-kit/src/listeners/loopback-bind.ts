import type { ListenAddress } from '@proj/config'

/**
 * Whether only programs of this machine can connect to an address. A name counts as reachable from
 * elsewhere: what it stands for is decided by whoever answers for it.
 */
export function isLoopbackBind(address: ListenAddress): boolean {
  if (address.kind !== 'tcp') return address.kind === 'unix'
  const { host, hostKind } = address
  return (
    hostKind === 'localhost' || (hostKind === 'ipv4' ? host.startsWith('127.') : host === '::1')
  )
}
