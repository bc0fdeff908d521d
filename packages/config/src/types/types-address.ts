import {
  type DialAddress,
  type DialAddressOptions,
  formatDialAddress,
  parseDialAddress,
} from '../address/dial-address.ts'
import {
  formatListenAddress,
  type ListenAddress,
  parseListenAddress,
} from '../address/listen-address.ts'
import { separateFamilies } from '../address/listen-addresses.ts'
import {
  formatServiceAddress,
  parseServiceAddress,
  type ServiceAddress,
} from '../address/service-address.ts'
import {
  formatSourceAddress,
  parseSourceAddress,
  type SourceAddress,
} from '../address/source-address.ts'
import { list } from './type-list.ts'
import type { ListType, ScalarType } from './value-type.ts'

/** Ports and addresses look like numbers in YAML when they are only digits. */
const TEXT_OR_PORT = { type: ['string', 'integer'] } as const

const listenAddress: ScalarType<ListenAddress> = {
  kind: 'scalar',
  name: 'address',
  allowed: 'an address such as :8080, 127.0.0.1:8080, [::1]:8080, localhost:8080 or unix:/path',
  schema: TEXT_OR_PORT,
  parse: parseListenAddress,
  format: formatListenAddress,
}

/** Addresses to listen on; [::] beside 0.0.0.0 of the same port becomes IPv6 alone. */
export function listenAddresses(): ListType<readonly ListenAddress[]> {
  const addresses = list(listenAddress, { maxItems: 64 })
  return {
    ...addresses,
    collect: (items) => separateFamilies(addresses.collect(items)),
  }
}

/** An address to connect to; a port alone is that port of localhost. */
export function dialAddress(options: DialAddressOptions = {}): ScalarType<DialAddress> {
  return {
    kind: 'scalar',
    name: 'address',
    allowed: 'an address such as 3000, localhost:3000, [::1]:3000, host:3000 or unix:/path',
    schema: TEXT_OR_PORT,
    parse: (text) => parseDialAddress(text, options),
    format: formatDialAddress,
  }
}

/** An IP address of this machine, optionally with a port, to connect from. */
export function sourceAddress(): ScalarType<SourceAddress> {
  return {
    kind: 'scalar',
    name: 'ip[:port]',
    allowed: 'an IP address of this machine, such as 192.168.1.100 or [fe80::1%eth0]:4000',
    schema: { type: 'string' },
    parse: parseSourceAddress,
    format: formatSourceAddress,
  }
}

/** A service: an address to connect to, or a URL with `http://` or `https://`. */
export function serviceAddress(): ScalarType<ServiceAddress> {
  return {
    kind: 'scalar',
    name: 'service',
    allowed: 'an address such as 3000, host:3000, unix:/path, http://host:3000 or https://host',
    schema: TEXT_OR_PORT,
    parse: parseServiceAddress,
    format: formatServiceAddress,
  }
}
