/** Calls of the inspector's API. The token comes with the address of the page, behind `#`. */
import type { ApiProblem } from '../contract.ts'
import { ApiError } from '../parts/api-error.ts'

const KEY = 'adit-inspect-token'

/** Takes the token out of the address, so that it is in no history and no bookmark. */
export function takeToken(): void {
  const [, token, rest = ''] = /^#t=([\w-]+)&?(.*)$/.exec(location.hash) ?? []
  if (token === undefined) return
  setToken(token)
  history.replaceState(null, '', rest === '' ? location.pathname : `#${rest}`)
}

/** Keeps the token for this tab. */
export function setToken(token: string): void {
  sessionStorage.setItem(KEY, token)
}

/** Asks the API. @throws {ApiError} for an answer that is no 200. */
export async function call(
  path: string,
  options: {
    readonly body?: string
    readonly headers?: Record<string, string>
    readonly signal?: AbortSignal
  } = {},
): Promise<Response> {
  const { body, headers, signal } = options
  const response = await fetch(new URL(`api/${path}`, document.baseURI), {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      'x-adit-token': sessionStorage.getItem(KEY) ?? '',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    cache: 'no-store',
    credentials: 'omit',
    ...(body !== undefined && { body }),
    ...(signal !== undefined && { signal }),
  })
  if (response.ok) return response
  let problem: ApiProblem = { error: `The agent answered ${response.status}.`, code: 'unknown' }
  try {
    problem = (await response.json()) as ApiProblem
  } catch {
    // the problem says the status
  }
  throw new ApiError(response.status, problem)
}

/** Reads JSON from the API. */
export async function get<Value>(path: string, signal?: AbortSignal): Promise<Value> {
  return (await (await call(path, signal && { signal })).json()) as Value
}

/** Sends JSON to the API. */
export async function post<Value>(path: string, value: object = {}): Promise<Value> {
  return (await (await call(path, { body: JSON.stringify(value) })).json()) as Value
}
