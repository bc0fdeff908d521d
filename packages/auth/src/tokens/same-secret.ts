import { timingSafeEqual } from 'node:crypto'

/** Whether two hashes or secrets are the same, in a time that tells nothing but their lengths. */
export function isSameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
