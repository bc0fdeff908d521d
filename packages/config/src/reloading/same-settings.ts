import { Secret } from '../types/secret.ts'

/** Deep equality of resolved values, which are plain data and secrets; other comparisons see no secret. */
export function sameSettings(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (a instanceof Secret && b instanceof Secret) return a.reveal() === b.reveal()
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const others = new Map(Object.entries(b))
  const members = Object.entries(a)
  return (
    members.length === others.size &&
    Array.isArray(a) === Array.isArray(b) &&
    members.every(([key, value]) => others.has(key) && sameSettings(value, others.get(key)))
  )
}
