export {
  CONFIG_ERRORS,
  ConfigError,
  isConfigError,
  type ConfigErrorCode,
  type ConfigErrorOptions,
} from './errors.ts'

export { formatHostPort, type UnixAddress } from './address.ts'
export { formatAddressBlock, parseAddressBlock, type AddressBlock } from './address-block.ts'
export { formatUrl } from './address-url.ts'
export {
  formatDialAddress,
  parseDialAddress,
  type DialAddress,
  type DialAddressOptions,
  type TcpDialAddress,
} from './dial-address.ts'
export {
  formatListenAddress,
  parseListenAddress,
  parseListenAddresses,
  separateFamilies,
  type FdAddress,
  type ListenAddress,
  type TcpListenAddress,
} from './listen-address.ts'
export { listenAddressesOverlap } from './listen-overlap.ts'
export { formatPortRange, parsePortRange, tryParsePort, type PortRange } from './port.ts'
export { formatSourceAddress, parseSourceAddress, type SourceAddress } from './source-address.ts'
export type { HostKind } from './host.ts'

export { formatDuration, parseDuration } from './duration.ts'
export { formatRate, parseRate, ratePerSecond, type Rate, type RateUnit } from './rate.ts'
export { formatSize, parseSize } from './size.ts'
