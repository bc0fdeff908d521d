import { createHash } from 'node:crypto'

import { ApiError } from './api-error.ts'
import type { ApiCall, QueryShape } from './api-route.ts'
import type { JsonShape } from './json-shape.ts'

/** Items of a page, when `limit` does not say. */
const DEFAULT_LIMIT = 100

/** Parameters of every list. */
export const PAGE_QUERY: Readonly<Record<'limit' | 'after', QueryShape>> = {
  limit: {
    type: 'integer',
    minimum: 1,
    maximum: 1_000,
    default: DEFAULT_LIMIT,
    description: 'Most items of the page.',
  },
  after: {
    type: 'string',
    maxLength: 2_000,
    description: 'The value of next of the page before.',
  },
}

/** The shape of a page, with what else it has. */
export function pageShape(items: JsonShape, more: Readonly<Record<string, JsonShape>> = {}) {
  return {
    type: 'object',
    properties: {
      items: { type: 'array', items },
      next: {
        type: 'string',
        description: 'Give it as after to get the next page; absent: this was the last one.',
      },
      ...more,
    },
    required: ['items', ...Object.keys(more)],
  } as const satisfies JsonShape
}

/** A page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next?: string
}

/** The limit that a call asks for. */
export function limitOf({ query }: ApiCall): number {
  return Number(query['limit'] ?? DEFAULT_LIMIT)
}

/**
 * The page of a list that a call asks for. It begins behind a key and not at a number, so that what is added or
 * removed meanwhile neither repeats nor hides other items.
 *
 * @param keyOf - a text that orders the items and is unique.
 */
export function pageOf<Item>(
  all: readonly Item[],
  keyOf: (item: Item) => string,
  call: ApiCall,
): Page<Item> {
  const after = call.query['after']
  const behind = after === undefined ? undefined : keyIn(String(after))
  const limit = limitOf(call)
  const keyed = all.map((item) => ({ key: keyOf(item), item }))
  const rest = keyed
    .filter(({ key }) => behind === undefined || key > behind)
    .toSorted((one, other) => (one.key < other.key ? -1 : 1))
  const items = rest.slice(0, limit)
  const last = items.at(-1)
  const next = rest.length > limit && last !== undefined ? { next: cursorOf(last.key) } : undefined
  return { items: items.map(({ item }) => item), ...next }
}

/** A version of what a value says, for ETag. */
export function tagOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22)
}

function cursorOf(key: string): string {
  return Buffer.from(key).toString('base64url')
}

function keyIn(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString()
  if (cursorOf(key) === cursor) return key
  throw new ApiError('query-invalid', 'after: is not the next of a page', { field: 'after' })
}
