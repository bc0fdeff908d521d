import type { Attributes } from './otlp.ts'

/** RFC 9110 section 9 and RFC 5789: visitors may send any other, and the name of a span has few values. */
const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
])

/** The method of a request as part of the name of a span. */
export function shownMethod(method: string): string {
  return METHODS.has(method) ? method : 'HTTP'
}

/** What a span says of a request and the status of its answer: semantic conventions of OpenTelemetry for HTTP. */
export function httpAttributes(
  { method, target }: { readonly method: string; readonly target: string },
  status: number,
): Attributes {
  const isKnown = METHODS.has(method)
  const query = target.indexOf('?')
  return {
    'http.request.method': isKnown ? method : '_OTHER',
    'http.request.method_original': isKnown ? undefined : method,
    // Without the query, which may hold credentials.
    'url.path': query < 0 ? target : target.slice(0, query),
    'http.response.status_code': status === 0 ? undefined : status,
  }
}
