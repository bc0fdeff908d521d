/** Error responses for visitors, in the form that each asked for. */
import { escapeHtml, type PageFacts, VISITOR_PAGE_POLICY, visitorPage } from './visitor-page.ts'
import { visitorWording } from './visitor-wording.ts'

/** An error to be told to a visitor. */
export interface VisitorError {
  /** HTTP status, 400 to 599. */
  readonly status: number
  /** Stable code, as in the header `adit-error`. */
  readonly code: string
  /** The text that Piko's clients read. */
  readonly error: string
  /** Identifier of the request; undefined: it has none. */
  readonly requestId: string | undefined
  /** A page of the operator instead of ours, with its placeholders; undefined: ours. */
  readonly page: string | undefined
}

/** Body of an error response, as `@proj/http1` takes it. */
export interface VisitorAnswer {
  /** Value of Content-Type. */
  readonly type: string
  /** The bytes. */
  readonly body: Buffer
  /** Further headers: name, value, name, value. */
  readonly headers: readonly string[]
}

/** No cache may give the form of one client to another, or an error that is over to anyone. */
const NOT_STORED = ['cache-control', 'no-store', 'vary', 'accept, sec-fetch-dest']

/** A page of the operator may have styles and pictures in itself, and no script. */
const OWN_PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const PLACEHOLDER = /\{\{ ?(status|code|request_id|time) ?\}\}/g

/**
 * The body for a form; of `any` there is none: it is Piko's, which `formatErrorResponse` makes.
 *
 * @param now - the time that the answer tells, ms since 1970.
 */
export function visitorAnswer(
  error: VisitorError,
  form: 'html' | 'text' | 'json',
  now: number,
): VisitorAnswer {
  const { status, code, requestId } = error
  const words = visitorWording(code, status)
  const instant = new Date(now).toISOString().replace(/\.\d+/, '')
  const time = instant.replace('T', ' ').replace('Z', ' UTC')
  if (form === 'json') {
    const { title, part: side, visitor: hint } = words
    const told = { error: error.error, status, code, title, side, hint }
    const body = `${JSON.stringify({ ...told, request_id: requestId, time: instant })}\n`
    return { type: 'application/json', body: Buffer.from(body), headers: NOT_STORED }
  }
  if (form === 'text') {
    const lines = [`${status} ${words.title} (${code})`, words.what, words.visitor]
    const last = requestId === undefined ? time : `Request id ${requestId}, ${time}`
    const body = [...lines.filter((line) => line !== ''), last, ''].join('\n')
    return { type: 'text/plain; charset=utf-8', body: Buffer.from(body), headers: NOT_STORED }
  }
  const facts = { status, code, requestId: requestId ?? '', time }
  const [page, policy] =
    error.page === undefined
      ? [visitorPage(words, facts), VISITOR_PAGE_POLICY]
      : [fillIn(error.page, facts), OWN_PAGE_POLICY]
  return {
    type: 'text/html; charset=utf-8',
    body: Buffer.from(page),
    headers: [...NOT_STORED, 'content-security-policy', policy],
  }
}

function fillIn(page: string, facts: PageFacts): string {
  const values: Readonly<Record<string, string>> = {
    status: String(facts.status),
    code: facts.code,
    request_id: facts.requestId,
    time: facts.time,
  }
  return page.replaceAll(PLACEHOLDER, (_, name: string) => escapeHtml(values[name] ?? ''))
}
