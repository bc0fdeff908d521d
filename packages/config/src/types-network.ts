import { formatAddressBlock, parseAddressBlock, type AddressBlock } from './address-block.ts'
import { formatPortRange, parsePortRange, type PortRange } from './port.ts'
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
