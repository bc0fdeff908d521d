/**
 * Writes heads. Names and values are written without a check, one byte per character: they come from
 * parsed heads or from the caller's own constants.
 */

/** Parts of a request head to write. */
export interface RequestHeadParts {
  /** Method, written without a check. */
  readonly method: string
  /** Target in origin-form, written without a check. */
  readonly target: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
}

/** Parts of a response head to write. */
export interface ResponseHeadParts {
  /** Status, three digits. */
  readonly status: number
  /** Reason phrase; may be empty. */
  readonly reason: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
}

/** Returns a request head as latin1 text. Always HTTP/1.1: an intermediary sends its own version. */
export function formatRequestHead(parts: RequestHeadParts): string {
  return `${parts.method} ${parts.target} HTTP/1.1\r\n${formatHeaders(parts.headers)}\r\n`
}

/** Returns a response head as latin1 text. Always HTTP/1.1, to HTTP/1.0 visitors too (RFC 9112 section 2.3). */
export function formatResponseHead(parts: ResponseHeadParts): string {
  return `HTTP/1.1 ${parts.status} ${parts.reason}\r\n${formatHeaders(parts.headers)}\r\n`
}

function formatHeaders(headers: readonly string[]): string {
  let text = ''
  for (let at = 0; at < headers.length; at += 2) {
    text += `${headers[at] ?? ''}: ${headers[at + 1] ?? ''}\r\n`
  }
  return text
}
