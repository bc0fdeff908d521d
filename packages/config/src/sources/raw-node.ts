/**
 * A value before its type is known, with its source and position. Files are parsed to these; flags,
 * variables and arguments are the simplest ones. Later steps do not depend on the source.
 */
import type { Origin } from './origin.ts'
import { splitList } from './split-list.ts'

/** Deepest nesting of a file, variable or flag; no setting lies deeper than ten. */
export const MAX_DEPTH = 32

/** A single value; `text` is undefined for the null of YAML, which counts as not given. */
export interface RawScalar {
  /** Tells the kinds of node apart. */
  readonly kind: 'scalar'
  /** The text, after variables were replaced. */
  readonly text: string | undefined
  /** Absolute path of the file the text of a secret was read from; absent: the text is in the source itself. */
  readonly file?: string
  /** Source and position of the value. */
  readonly origin: Origin
}

interface RawList {
  /** Tells the kinds of node apart. */
  readonly kind: 'list'
  readonly items: readonly RawNode[]
  /** Source and position of the value. */
  readonly origin: Origin
}

/** A mapping; keys are unique. */
export interface RawMap {
  /** Tells the kinds of node apart. */
  readonly kind: 'map'
  /** The members by key. */
  readonly members: ReadonlyMap<string, RawMember>
  /** Source and position of the value. */
  readonly origin: Origin
}

/** One key of a mapping and its value. */
export interface RawMember {
  /** Source and position of the key. */
  readonly keyOrigin: Origin
  /** The value, before its type is known. */
  readonly value: RawNode
}

/** Placeholder for a value that could not be read and was reported. */
interface RawUnread {
  /** Tells the kinds of node apart. */
  readonly kind: 'unread'
  /** Source and position of the value. */
  readonly origin: Origin
}

/** A text that is not in the form that its place needs; reported when its setting is read. */
interface RawRefused {
  /** Tells the kinds of node apart. */
  readonly kind: 'refused'
  readonly message: string
  readonly hint: string
  /** Source and position of the value. */
  readonly origin: Origin
}

/** A value of any shape. */
export type RawNode = RawScalar | RawList | RawMap | RawUnread | RawRefused

/** Elements of a list: a sequence as it is, one text as `splitList` reads it; undefined for other nodes. */
export function elementsOf(node: RawNode): readonly RawNode[] | undefined {
  if (node.kind === 'list') return node.items
  if (node.kind !== 'scalar' || node.text === undefined) return undefined
  const split = splitList(node.text)
  if ('elements' in split) return split.elements.map((text) => ({ ...node, text }))
  return [{ kind: 'refused', message: split.failure, hint: split.hint, origin: node.origin }]
}

/**
 * Elements of a list of objects: a sequence as it is; one text of a variable or flag as JSON, an array or
 * a single object. Undefined for other nodes: in a file such a list is no text.
 */
export function objectsOf(node: RawNode): readonly RawNode[] | undefined {
  if (node.kind === 'list') return node.items
  if (node.kind !== 'scalar' || node.text === undefined) return undefined
  const { text, origin } = node
  if (origin.kind === 'file') return undefined
  try {
    const value: unknown = JSON.parse(text)
    const items: readonly unknown[] = Array.isArray(value) ? value : [value]
    return items.map((item) => fromJson(item, origin, 1))
  } catch {
    return [
      {
        kind: 'refused',
        message: 'a list of objects is written as JSON here',
        hint: 'write [{"key":"value"}], or {"key":"value"} for a list of one',
        origin,
      },
    ]
  }
}

function fromJson(value: unknown, origin: Origin, depth: number): RawNode {
  if (depth > MAX_DEPTH) throw new RangeError('the JSON is too deep')
  if (value === null) return { kind: 'scalar', text: undefined, origin }
  if (typeof value === 'string') return { kind: 'scalar', text: value, origin }
  if (typeof value === 'number' && losesDigits(value)) {
    const message = 'a number of this size loses digits in JSON'
    return { kind: 'refused', message, hint: 'write it in quotes', origin }
  }
  if (typeof value !== 'object') return { kind: 'scalar', text: JSON.stringify(value), origin }
  if (Array.isArray(value)) {
    return { kind: 'list', items: value.map((item) => fromJson(item, origin, depth + 1)), origin }
  }
  const members = Object.entries(value).map(
    ([key, member]) =>
      [key, { keyOrigin: origin, value: fromJson(member, origin, depth + 1) }] as const,
  )
  return { kind: 'map', members: new Map(members), origin }
}

function losesDigits(value: number): boolean {
  return Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value)
}
