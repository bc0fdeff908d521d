/** How two answers differ: headers by name, JSON by path, other text by line, other bytes by the first one. */
import type { Difference, HeaderField } from '../contract.ts'

/** Headers that differ in every answer, or belong to the connection. */
const IGNORED = new Set([
  'age',
  'connection',
  'date',
  'etag',
  'keep-alive',
  'set-cookie',
  'transfer-encoding',
  'x-request-id',
])

/** Lines of each side that are compared. */
const MAX_LINES = 2_000

/** Most differences that are listed. */
const MAX_DIFFERENCES = 200

/** An answer. */
export interface ComparedAnswer {
  readonly status: number | undefined
  readonly headers: readonly HeaderField[]
  readonly body: Uint8Array
}

/** The differences, at most MAX_DIFFERENCES. */
export function differences(before: ComparedAnswer, after: ComparedAnswer): Difference[] {
  const found: Difference[] = []
  if (before.status !== after.status) {
    found.push({
      where: 'status',
      name: 'status',
      before: String(before.status ?? 'none'),
      after: String(after.status ?? 'none'),
    })
  }
  found.push(...headerDifferences(before.headers, after.headers))
  found.push(...bodyDifferences(before.body, after.body))
  return found.slice(0, MAX_DIFFERENCES)
}

function headerDifferences(
  before: readonly HeaderField[],
  after: readonly HeaderField[],
): Difference[] {
  const valuesOf = (fields: readonly HeaderField[]): Map<string, string> => {
    const values = new Map<string, string>()
    for (const { name, value } of fields) {
      const key = name.toLowerCase()
      const earlier = values.get(key)
      values.set(key, earlier === undefined ? value : `${earlier}, ${value}`)
    }
    return values
  }
  const [first, second] = [valuesOf(before), valuesOf(after)]
  const names = [...new Set([...first.keys(), ...second.keys()])]
  return names.flatMap((name) => {
    const [was, is] = [first.get(name), second.get(name)]
    return was === is || IGNORED.has(name) ? [] : [differenceOf('header', name, was, is)]
  })
}

function bodyDifferences(before: Uint8Array, after: Uint8Array): Difference[] {
  const [first, second] = [textOf(before), textOf(after)]
  if (first === undefined || second === undefined) {
    const at = firstDifference(before, after)
    if (at === -1) return []
    const hex = (bytes: Uint8Array): string =>
      [...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    return [differenceOf('body', `from byte ${at}`, hex(before), hex(after))]
  }
  if (first === second) return []
  const [one, other] = [jsonOf(first), jsonOf(second)]
  if (one !== undefined && other !== undefined) {
    const found: Difference[] = []
    compareJson('', one.value, other.value, found)
    return found
  }
  return compareLines(first.split('\n'), second.split('\n'))
}

function compareJson(path: string, before: unknown, after: unknown, found: Difference[]): void {
  if (found.length >= MAX_DIFFERENCES) return
  if (isObject(before) && isObject(after) && Array.isArray(before) === Array.isArray(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const inner = Array.isArray(before) ? `${path}[${key}]` : `${path}.${key}`
      const own = (value: Record<string, unknown>): unknown =>
        Object.hasOwn(value, key) ? value[key] : undefined
      compareJson(inner, own(before), own(after), found)
    }
    return
  }
  const [was, is] = [JSON.stringify(before), JSON.stringify(after)]
  if (was !== is) found.push(differenceOf('body', path.replace(/^\./, '') || 'value', was, is))
}

/** Lines that are equal at both ends are left out; what is between is matched by the longest common part. */
function compareLines(before: readonly string[], after: readonly string[]): Difference[] {
  let start = 0
  while (start < before.length && before[start] === after[start]) start += 1
  let end = 0
  const shorter = Math.min(before.length, after.length) - start
  while (end < shorter && before[before.length - 1 - end] === after[after.length - 1 - end]) {
    end += 1
  }
  const first = before.slice(start, before.length - end)
  const second = after.slice(start, after.length - end)
  if (first.length > MAX_LINES || second.length > MAX_LINES || first.length * second.length > 1e6) {
    return [
      differenceOf(
        'body',
        `from line ${start + 1}`,
        `${first.length} lines`,
        `${second.length} lines`,
      ),
    ]
  }
  const found: Difference[] = []
  for (const [was, is, line] of alignLines(first, second)) {
    found.push(differenceOf('body', `line ${start + line + 1}`, was, is))
    if (found.length >= MAX_DIFFERENCES) break
  }
  return found
}

/** Lines of only one side, by the longest common subsequence. */
function* alignLines(
  first: readonly string[],
  second: readonly string[],
): Generator<[string | undefined, string | undefined, number]> {
  const width = second.length + 1
  const lengths = new Uint16Array((first.length + 1) * width)
  const at = (row: number, column: number): number => lengths[row * width + column] ?? 0
  for (let row = first.length - 1; row >= 0; row--) {
    for (let column = second.length - 1; column >= 0; column--) {
      lengths[row * width + column] =
        first[row] === second[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1))
    }
  }
  let row = 0
  let column = 0
  while (row < first.length || column < second.length) {
    if (row < first.length && column < second.length && first[row] === second[column]) {
      row += 1
      column += 1
    } else if (
      column >= second.length ||
      (row < first.length && at(row + 1, column) >= at(row, column + 1))
    ) {
      yield [first[row], undefined, row]
      row += 1
    } else {
      yield [undefined, second[column], row]
      column += 1
    }
  }
}

function differenceOf(
  where: Difference['where'],
  name: string,
  before: string | undefined,
  after: string | undefined,
): Difference {
  return {
    where,
    name,
    ...(before !== undefined && { before }),
    ...(after !== undefined && { after }),
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function jsonOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

function firstDifference(before: Uint8Array, after: Uint8Array): number {
  const length = Math.max(before.length, after.length)
  for (let at = 0; at < length; at++) if (before[at] !== after[at]) return at
  return -1
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
