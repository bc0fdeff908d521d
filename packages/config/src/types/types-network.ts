import {
  formatAddressBlock,
  parseAddressBlock,
  type AddressBlock,
} from '../address/address-block.ts'
import { parseBindHost } from '../address/listen-address.ts'
import {
  formatPort,
  formatPortRange,
  parsePort,
  parsePortRange,
  type PortRange,
} from '../address/port.ts'
import type { ScalarType } from './value-type.ts'

/** A port or a range of ports. */
export function portRange(): ScalarType<PortRange> {
  return {
    kind: 'scalar',
    name: 'ports',
    allowed: 'a port or a range such as 9900-9999',
    schema: { type: ['string', 'integer'] },
    parse: parsePortRange,
    format: formatPortRange,
  }
}

/** A port, or `any` for whichever one the other side gives, which is 0. */
export function portOrAny(): ScalarType<number> {
  return {
    kind: 'scalar',
    name: 'port',
    allowed: 'a port such as 9901, or any',
    schema: { type: ['string', 'integer'] },
    completes: ['any'],
    parse: parsePort,
    format: formatPort,
  }
}

/** A host to listen on, without a port: `*` for every address, an IP address, `localhost` or a name. */
export function bindHost(): ScalarType<string> {
  return {
    kind: 'scalar',
    name: 'host',
    allowed: 'an address without a port, such as *, localhost, 192.0.2.1, 2001:db8::1 or a name',
    schema: { type: 'string' },
    parse: parseBindHost,
    format: (host) => host,
  }
}

/** An IP address or a block of them, such as `10.0.0.0/8`. */
export function addressBlock(): ScalarType<AddressBlock> {
  return {
    kind: 'scalar',
    name: 'block',
    allowed: 'an IP address or a block such as 10.0.0.0/8 or 2001:db8::/32',
    schema: { type: 'string' },
    parse: parseAddressBlock,
    format: formatAddressBlock,
  }
}
