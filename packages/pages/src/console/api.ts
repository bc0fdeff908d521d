/** Calls of the server's API. The page and the API may be below a prefix of a proxy: all addresses are relative. */
import type { ApiProblem } from '../contract.ts'
import { ApiError } from '../parts/api-error.ts'

const KEY = 'adit-console-proof'

/** Items of a page of a list, and the most pages that are read. */
const PAGE_ITEMS = 1_000
const MAX_PAGES = 10

/** Where the API is. */
const BASE = new URL('../api/v1/', document.baseURI)

/** What a request has besides its method and path. */
export interface CallOptions {
  /** Sent as JSON. */
  readonly body?: object
  /** Besides those that every request has. */
  readonly headers?: Record<string, string>
  /** Ends the request. */
  readonly signal?: AbortSignal
}

/** Keeps the proof of a session for this browser; undefined: there is none any more. */
export function keepProof(proof: string | undefined): void {
  if (proof === undefined) localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, proof)
}

/** Asks the API. @throws {ApiError} for an answer that is an error. */
export async function call(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  { body, headers, signal }: CallOptions = {},
): Promise<Response> {
  const proof = localStorage.getItem(KEY)
  const response = await fetch(new URL(path, BASE), {
    method,
    headers: {
      ...(proof !== null && { 'adit-session': proof }),
      ...(method !== 'GET' && { 'content-type': 'application/json' }),
      ...headers,
    },
    cache: 'no-store',
    credentials: 'same-origin',
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  })
  if (response.ok || response.status === 304) return response
  let problem: ApiProblem = { error: `The server answered ${response.status}.`, code: 'unknown' }
  try {
    problem = (await response.json()) as ApiProblem
  } catch {
    // the problem says the status
  }
  throw new ApiError(response.status, problem)
}

/** Sends a change, and reads its answer. */
export async function change<Value>(
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Value> {
  const response = await call(method, path, { headers, ...(body !== undefined && { body }) })
  return (await response.json()) as Value
}

/** What was read, and the version that the server gave it. */
export interface Read<Value> {
  readonly value: Value
  readonly etag: string
}

/** Reads JSON; undefined: it is as it was at `etag`. */
export async function read<Value>(path: string, etag: string): Promise<Read<Value> | undefined> {
  const response = await call(
    'GET',
    path,
    etag === '' ? {} : { headers: { 'if-none-match': etag } },
  )
  if (response.status === 304) return undefined
  return { value: (await response.json()) as Value, etag: response.headers.get('etag') ?? '' }
}

/** A whole list. */
export interface WholeList<Item> {
  readonly items: readonly Item[]
  /** Whether there are more than the page reads. */
  readonly isCut: boolean
  readonly unreachable: readonly string[]
}

/** Reads a list, up to 10 000 items; undefined: it is as it was at `etag`. */
export async function readList<Item>(
  path: string,
  etag: string,
): Promise<Read<WholeList<Item>> | undefined> {
  const items: Item[] = []
  const unreachable = new Set<string>()
  let next: string | undefined
  let version = ''
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = new URLSearchParams({ limit: String(PAGE_ITEMS), ...(next && { after: next }) })
    const address = `${path}${path.includes('?') ? '&' : '?'}${query}`
    // The version of a first page says nothing of the others.
    const found = await read<{ items: Item[]; next?: string; unreachable?: string[] }>(
      address,
      page === 0 ? etag : '',
    )
    if (found === undefined) return undefined
    items.push(...found.value.items)
    for (const node of found.value.unreachable ?? []) unreachable.add(node)
    next = found.value.next
    version = page === 0 && next === undefined ? found.etag : ''
    if (next === undefined) break
  }
  return {
    value: { items, isCut: next !== undefined, unreachable: [...unreachable] },
    etag: version,
  }
}
