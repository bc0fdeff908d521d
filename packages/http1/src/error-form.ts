import { getHeader, listItems } from './header-list.ts'

/** In which form a client wants an error response: for a person, as text, as JSON, or it does not say. */
export type ErrorForm = 'html' | 'text' | 'json' | 'any'

/** What a page is asked for; anything else that a browser loads is not shown to a person (Fetch, `destination`). */
const PAGE_DESTINATIONS: ReadonlySet<string> = new Set(['document', 'frame', 'iframe'])

/** A quality value; what has another form counts as 0 (RFC 9110 section 12.4.2). */
const QUALITY = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/

/** What is read of Accept, characters; browsers send about 200, and a head may have 32 KiB of it. */
const MAX_ACCEPT_CHARS = 1_024

/**
 * Returns the form that Accept and Sec-Fetch-Dest ask for (RFC 9110 section 12.5.1). HTML is chosen whenever it
 * is accepted by name, because only browsers do that. Ranges with an asterisk say nothing.
 *
 * @param headers - of the request: name, value, name, value
 */
export function errorForm(headers: readonly string[]): ErrorForm {
  const accepted = new Map<string, number>()
  let left = MAX_ACCEPT_CHARS
  for (let at = 0; at < headers.length && left > 0; at += 2) {
    if (headers[at]?.toLowerCase() !== 'accept') continue
    const value = (headers[at + 1] ?? '').slice(0, left)
    left -= value.length
    for (const item of listItems(value)) {
      const [type = '', ...parameters] = item.split(';')
      accepted.set(type.trim().toLowerCase(), qualityOf(parameters))
    }
  }
  const destination = getHeader(headers, 'sec-fetch-dest')
  const isPage = destination === undefined || PAGE_DESTINATIONS.has(destination)
  if (isPage && (accepted.get('text/html') ?? 0) > 0) return 'html'
  const text = accepted.get('text/plain') ?? 0
  const json = accepted.get('application/json') ?? 0
  if (text > json) return 'text'
  return json > 0 ? 'json' : 'any'
}

function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=')
    if (name.trim().toLowerCase() !== 'q') continue
    const quality = value.trim()
    return QUALITY.test(quality) ? Number(quality) : 0
  }
  return 1
}
