/**
 * Writes heads. Names and values go out as they are, one byte per character: they come from heads
 * that were parsed here, or from the forwarding functions, which check what they add.
 */

/** Parts of a request head to write. */
export interface RequestHeadParts {
  /** Method, written as it is. */
  readonly method: string
  /** Target in origin-form, written as it is. */
  readonly target: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
}

/** Parts of a response head to write. */
export interface ResponseHeadParts {
  /** Status, three digits. */
  readonly status: number
  /** Reason phrase, may be empty. */
  readonly reason: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
}

/** Returns a request head as latin1 text. Always HTTP/1.1: an intermediary speaks its own version. */
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
