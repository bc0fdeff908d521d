import { formatHostPort } from './split-address.ts'

/** Ports that a URL leaves out. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, ws: 80, https: 443, wss: 443 }

/**
 * Writes a URL that a browser can open: `localhost` in place of a wildcard, `%25` before a zone, no
 * port where the scheme implies it.
 *
 * @param scheme - such as `http`
 * @param host - an IP literal without brackets, a name, or `*`
 * @param port - 1 to 65535
 */
export function formatUrl(scheme: string, host: string, port: number): string {
  const shown = ['*', '0.0.0.0', '::'].includes(host) ? 'localhost' : host.replace('%', '%25')
  const text = formatHostPort(shown, port)
  const implied = Object.hasOwn(DEFAULT_PORTS, scheme) && DEFAULT_PORTS[scheme] === port
  return `${scheme}://${implied ? text.slice(0, text.lastIndexOf(':')) : text}`
}
