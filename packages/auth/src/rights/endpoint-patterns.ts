/** Longest pattern, bytes: as long as an endpoint's name may be. */
export const MAX_PATTERN_BYTES = 253

/** Patterns one credential may hold. */
export const MAX_PATTERNS = 1000

/**
 * Says why a text is no pattern. In a pattern `*` stands for any number of characters, none too;
 * everything else stands for itself, upper and lower case being different.
 *
 * @returns a reason for people, or undefined when it is one.
 */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty'
  if (Buffer.byteLength(pattern) > MAX_PATTERN_BYTES) {
    return `is longer than ${MAX_PATTERN_BYTES} bytes`
  }
  if (pattern.includes('/')) return 'contains a slash'
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
  if (/[\u0000-\u0020\u007f]/.test(pattern)) return 'contains a space or control character'
  return undefined
}

/**
 * Whether an endpoint matches a pattern. The time is bounded by the product of the lengths, however
 * the stars stand: the text between two of them is searched for once, from left to right.
 */
export function matchesPattern(pattern: string, endpoint: string): boolean {
  const parts = pattern.split('*')
  const first = parts.shift() ?? ''
  const last = parts.pop()
  if (last === undefined) return endpoint === first
  if (endpoint.length < first.length + last.length) return false
  if (!endpoint.startsWith(first) || !endpoint.endsWith(last)) return false
  const end = endpoint.length - last.length
  let at = first.length
  for (const part of parts) {
    const found = endpoint.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
