/** The filter of the list: words and `key:value`, all must hold, `-` negates, quotes group. */
import type { ExchangeRow } from '../contract.ts'

/** A part of a filter, as it was understood. */
export interface FilterTerm {
  readonly text: string
  readonly isNegated: boolean
  /** Why it is not understood. */
  readonly problem?: string
}

/** A filter that was read. */
export interface Filter {
  readonly terms: readonly FilterTerm[]
  /** What the agent has to look for, because rows do not have it. */
  readonly search: { readonly header?: string; readonly body?: string }
  /** Whether all parts are understood. */
  readonly isSound: boolean
  /** @param found - ids that the agent has found for `search`. */
  matches(row: ExchangeRow, found: ReadonlySet<number> | undefined): boolean
}

type Test = (row: ExchangeRow, found: ReadonlySet<number> | undefined) => boolean

const has = (text: string | undefined, part: string): boolean =>
  text !== undefined && text.toLowerCase().includes(part)

const KEYS: Readonly<Record<string, (value: string) => Test | string>> = {
  status: (value) => {
    const range = /^([1-9])xx$/.exec(value) ?? /^(\d{3})(?:-(\d{3}))?$/.exec(value)
    if (range === null) return 'write status:404, status:5xx or status:400-499'
    const [, first = '', last] = range
    const low = value.endsWith('xx') ? Number(first) * 100 : Number(first)
    const high = value.endsWith('xx') ? low + 99 : Number(last ?? first)
    return ({ status }) => status !== undefined && status >= low && status <= high
  },
  method: (value) => (row) => row.method.toLowerCase() === value,
  path: (value) => (row) => has(row.target, value),
  host: (value) => (row) => has(row.host, value),
  endpoint: (value) => (row) => has(row.endpoint, value),
  visitor: (value) => (row) => has(row.visitor, value),
  type: (value) => (row) => has(row.type, value),
  code: (value) => (row) => has(row.code, value),
  id: (value) => (row) => has(row.requestId, value) || String(row.id) === value,
  kind: (value) => {
    const kinds = { http: 'http', ws: 'websocket', websocket: 'websocket', sse: 'sse', tcp: 'tcp' }
    const kind = Object.hasOwn(kinds, value) ? kinds[value as keyof typeof kinds] : undefined
    return kind === undefined
      ? 'write kind:http, kind:ws, kind:sse or kind:tcp'
      : (row) => row.kind === kind
  },
  slower: (value) => {
    const [, number, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(value) ?? []
    if (number === undefined) return 'write slower:200ms or slower:2s'
    const ms = Number(number) * { ms: 1, s: 1000, m: 60_000 }[unit as 'ms' | 's' | 'm']
    return (row) => (row.totalMs ?? 0) > ms
  },
  larger: (value) => {
    const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(k|m|g)?b?$/.exec(value) ?? []
    if (number === undefined) return 'write larger:10k or larger:2m'
    const bytes = Number(number) * { '': 1, k: 1e3, m: 1e6, g: 1e9 }[unit as '' | 'k' | 'm' | 'g']
    return (row) => row.bytesIn + row.bytesOut > bytes
  },
  is: (value) => {
    const states: Readonly<Record<string, Test>> = {
      open: (row) => row.state === 'open',
      failed: (row) => row.state === 'failed' || (row.status ?? 0) >= 500,
      pinned: (row) => row.pinned === true,
      replay: (row) => row.replayOf !== undefined,
      imported: (row) => row.imported === true,
      cut: (row) => row.cut === true || row.givenUp !== undefined,
    }
    const state = Object.hasOwn(states, value) ? states[value] : undefined
    return state ?? `write is:${Object.keys(states).join(', is:')}`
  },
  header: () => (row, found) => found?.has(row.id) ?? false,
  body: () => (row, found) => found?.has(row.id) ?? false,
}

/** The keys, for the help. */
export const FILTER_KEYS: readonly string[] = Object.keys(KEYS)

/** Reads a filter. Parts that are not understood match everything. */
export function readFilter(text: string): Filter {
  const terms: FilterTerm[] = []
  const tests: Test[] = []
  const search: { header?: string; body?: string } = {}
  for (const word of wordsOf(text)) {
    const isNegated = word.startsWith('-') && word.length > 1
    const plain = isNegated ? word.slice(1) : word
    const [, key, raw = ''] = /^([a-z]+):(.*)$/s.exec(plain) ?? []
    const made = key === undefined ? wordTest(plain) : keyTest(key, raw)
    if (typeof made === 'string') terms.push({ text: plain, isNegated, problem: made })
    else {
      if (key === 'header' || key === 'body') search[key] = raw
      terms.push({ text: plain, isNegated })
      tests.push(isNegated ? (row, found) => !made(row, found) : made)
    }
  }
  return {
    terms,
    search,
    isSound: terms.every(({ problem }) => problem === undefined),
    matches: (row, found) => tests.every((test) => test(row, found)),
  }
}

function keyTest(key: string, raw: string): Test | string {
  const make = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
  if (make === undefined) {
    const near = FILTER_KEYS.find((one) => one.startsWith(key.slice(0, 3)) || one.endsWith(key))
    return `there is no key ${key}${near === undefined ? '' : `; did you mean ${near}?`}`
  }
  if (raw === '') return `write what ${key} has to be`
  return make(raw.toLowerCase())
}

function wordTest(word: string): Test {
  const part = word.toLowerCase()
  return (row) =>
    has(row.target, part) ||
    has(row.method, part) ||
    has(row.host, part) ||
    has(row.visitor, part) ||
    has(row.endpoint, part) ||
    String(row.status ?? '').includes(part) ||
    has(row.code, part)
}

function wordsOf(text: string): string[] {
  const words: string[] = []
  for (const [, quotedKey = '', quoted, plain] of text.matchAll(/(-?[a-z]*:?)"([^"]*)"?|(\S+)/g)) {
    words.push(plain ?? quotedKey + (quoted ?? ''))
  }
  return words.filter((word) => word !== '' && word !== '-')
}
