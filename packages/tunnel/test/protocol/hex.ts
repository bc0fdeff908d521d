// Bytes as the protocol's tables write them.

/** Bytes from hex with blanks and `# comments`. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex')
}

/** Hex of ASCII text, for the readable parts of a table. */
export function ascii(text: string): string {
  return Buffer.from(text).toString('hex')
}
