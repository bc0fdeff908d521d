/**
 * The one grammar for addresses, ports and blocks of addresses: reading, writing, comparing. Pure: no
 * DNS, no files, no settings.
 */
export { ConfigError, isConfigError } from './errors.ts'

// Hosts and ports
export { formatUrl } from './address/format-url.ts'
export type { HostKind } from './address/host.ts'
export {
  formatPort,
  formatPortRange,
  parsePort,
  parsePortRange,
  type PortRange,
  tryParsePort,
} from './address/port.ts'
export { formatHostPort, type UnixAddress } from './address/split-address.ts'

// Where to listen
export {
  type FdAddress,
  formatListenAddress,
  isLoopbackBind,
  type ListenAddress,
  parseBindHost,
  parseListenAddress,
  type TcpListenAddress,
} from './address/listen-address.ts'
export {
  listenAddressesOverlap,
  parseListenAddresses,
  separateFamilies,
} from './address/listen-addresses.ts'

// Where to connect to and from
export {
  type DialAddress,
  type DialAddressOptions,
  formatDialAddress,
  parseDialAddress,
  type TcpDialAddress,
} from './address/dial-address.ts'
export {
  formatServiceAddress,
  parseServiceAddress,
  type ServiceAddress,
} from './address/service-address.ts'
export {
  formatSourceAddress,
  parseSourceAddress,
  type SourceAddress,
} from './address/source-address.ts'

// Addresses of peers
export {
  type AddressBlock,
  AddressList,
  type AddressListOptions,
  AddressSet,
  formatAddressBlock,
  parseAddressBlock,
} from './address/address-block.ts'
export {
  ipv6Groups,
  isLinkLocal,
  isLoopback,
  isUnspecified,
  plainAddress,
  sourceOf,
  unmapIPv4,
} from './address/ip-address.ts'
