import { validateHeaderName, validateHeaderValue } from 'node:http'

/**
 * Copies headers after checking their syntax.
 * @throws {TypeError} naming the header, without its value
 */
export function checkHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  }
  return { ...headers }
}
