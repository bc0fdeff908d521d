// The little of ASN.1 DER (ITU-T X.690) that a certificate needs. Written here so that the tests
// need neither the openssl program, which a bare machine may lack, nor a library.

/** DER encoders: each returns a complete tag, length and value. */
export const der = {
  sequence: (...parts: readonly Uint8Array[]): Buffer => tagged(0x30, ...parts),
  set: (...parts: readonly Uint8Array[]): Buffer => tagged(0x31, ...parts),
  /** Context-specific, constructed: `[number] EXPLICIT`. */
  explicit: (number: number, ...parts: readonly Uint8Array[]): Buffer =>
    tagged(0xa0 | number, ...parts),
  /** Context-specific, primitive: `[number] IMPLICIT` of a string type. */
  implicit: (number: number, value: Uint8Array): Buffer => tagged(0x80 | number, value),
  boolean: (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0x00])),
  octets: (value: Uint8Array): Buffer => tagged(0x04, value),
  /** A bit string of whole octets, `unused` bits of the last one not counting. */
  bits: (value: Uint8Array, unused = 0): Buffer => tagged(0x03, Buffer.from([unused]), value),
  utf8: (value: string): Buffer => tagged(0x0c, Buffer.from(value, 'utf8')),
  null: (): Buffer => tagged(0x05),
  integer,
  oid,
  /** GeneralizedTime, in whole seconds of UTC. */
  time: (value: Date): Buffer =>
    tagged(0x18, Buffer.from(`${value.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`)),
} as const

function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthOf(value.length), value])
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

/** A non-negative integer, given as its big-endian bytes. */
function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0)
  const value = first < 0 ? Buffer.from([0]) : Buffer.from(bytes.subarray(first))
  // DER integers are signed: a high first bit would read as a negative number
  return (value[0] ?? 0) >= 0x80 ? tagged(0x02, Buffer.from([0]), value) : tagged(0x02, value)
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const group = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      group.unshift(0x80 | (left % 128))
    }
    bytes.push(...group)
  }
  return tagged(0x06, Buffer.from(bytes))
}
