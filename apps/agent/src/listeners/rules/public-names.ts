/**
 * Puts names right where the service is addressed by another host or path than visitors use: what visitors say
 * of the public name towards the service, and what the service says of its own name towards visitors.
 */
/** How one service is addressed, and what it may call itself. */
export interface ServiceNames {
  /** Scheme of the service. */
  readonly scheme: 'http' | 'https'
  /** What is sent as Host; undefined: what the visitor sent. */
  readonly host: string | undefined
  /** Hosts with port that mean the service, in lower case and without a default port. */
  readonly authorities: ReadonlySet<string>
  /** Removed from the front of paths towards the service; no slash at its end. Empty: nothing. */
  readonly stripPrefix: string
  /** Put in front of paths towards the service, after that. Empty: nothing. */
  readonly addPrefix: string
}

/** What the visitor has in the address bar. */
export interface PublicOrigin {
  readonly scheme: 'http' | 'https'
  /** Host with port, as sent. */
  readonly host: string
}

const URL_PARTS = /^(?:(https?):)?\/\/([^/?#]*)(.*)$/is
const DEFAULT_PORTS = { http: ':80', https: ':443' } as const

/** Whether a path is a prefix or lies below it. */
export function isBelow(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  const next = path[prefix.length]
  return prefix.endsWith('/') || next === undefined || next === '/' || next === '?'
}

/** The target for the service: path and query. A path that is not below the prefix to strip is not changed by it. */
export function targetForService(target: string, names: ServiceNames): string {
  const { stripPrefix, addPrefix } = names
  if (!target.startsWith('/')) return target // OPTIONS *
  const isStripped = stripPrefix !== '' && isBelow(target, stripPrefix)
  const rest = isStripped ? target.slice(stripPrefix.length) : target
  return `${addPrefix}${rest.startsWith('/') ? rest : `/${rest}`}`
}

/** The value of Origin or Referer for the service. */
export function originForService(
  value: string,
  names: ServiceNames,
  visitor: PublicOrigin,
): string {
  if (names.host === undefined) return value
  const [, scheme, authority = '', rest = ''] = URL_PARTS.exec(value) ?? []
  if (scheme === undefined || authority.toLowerCase() !== visitor.host.toLowerCase()) return value
  return `${names.scheme}://${names.host}${targetOrNothing(rest, names)}`
}

/** The value of Location for the visitor: the service's name becomes the public one, and its path too. */
export function locationForVisitor(
  value: string,
  names: ServiceNames,
  visitor: PublicOrigin,
): string {
  const [, scheme, authority, rest = ''] = URL_PARTS.exec(value) ?? []
  if (authority === undefined) {
    return value.startsWith('/') ? onThisHost(pathForVisitor(value, names), names) : value
  }
  if (authority.toLowerCase() === visitor.host.toLowerCase()) {
    return value.slice(0, value.length - rest.length) + pathOrNothing(rest, names)
  }
  if (!names.authorities.has(canonical(authority, scheme ?? names.scheme))) return value
  const origin = scheme === undefined ? '' : `${visitor.scheme}:`
  return `${origin}//${visitor.host}${pathOrNothing(rest, names)}`
}

/** The value of Refresh for the visitor: `5; url=http://...`. */
export function refreshForVisitor(
  value: string,
  names: ServiceNames,
  visitor: PublicOrigin,
): string {
  const [, before, quote = '', url = ''] =
    /^(\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?)(["']?)(.*)$/is.exec(value) ?? []
  if (before === undefined) return value
  const end = quote === '' ? -1 : url.indexOf(quote)
  const inner = end < 0 ? url : url.slice(0, end)
  const behind = end < 0 ? '' : url.slice(end)
  return `${before}${quote}${locationForVisitor(inner, names, visitor)}${behind}`
}

/**
 * The value of Set-Cookie for the visitor. A Domain that is the service's host, or above it, becomes the public
 * host, because browsers drop a cookie for another one; the Path follows the prefixes.
 */
export function cookieForVisitor(
  value: string,
  names: ServiceNames,
  visitor: PublicOrigin,
): string {
  if (!value.includes(';')) return value
  const [pair, ...attributes] = value.split(';')
  const written = attributes.map((attribute) => {
    // Not by a pattern: of a long run of blanks it would try each part.
    const equals = attribute.indexOf('=')
    const name = attribute.slice(0, Math.max(equals, 0)).trim().toLowerCase()
    const text = attribute.slice(equals + 1).trim()
    const before = attribute.slice(0, equals + 1)
    if (name === 'domain' && names.host !== undefined && isOwnDomain(text, names)) {
      return `${before}${hostOf(visitor.host)}`
    }
    if (name === 'path' && text.startsWith('/')) return `${before}${pathForVisitor(text, names)}`
    return attribute
  })
  return [pair, ...written].join(';')
}

/** A host with port in lower case, without the default port of its scheme. */
export function canonical(authority: string, scheme: string): string {
  const lower = authority.toLowerCase()
  const port = scheme.toLowerCase() === 'https' ? DEFAULT_PORTS.https : DEFAULT_PORTS.http
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower
}

function targetOrNothing(rest: string, names: ServiceNames): string {
  return rest.startsWith('/') ? targetForService(rest, names) : rest
}

function pathOrNothing(rest: string, names: ServiceNames): string {
  return rest.startsWith('/') ? pathForVisitor(rest, names) : rest
}

/** The other way of `targetForService`; a path outside of the added prefix is not the visitor's to reach. */
function pathForVisitor(path: string, { stripPrefix, addPrefix }: ServiceNames): string {
  if (addPrefix !== '' && !isBelow(path, addPrefix)) return path
  const rest = path.slice(addPrefix.length)
  return `${stripPrefix}${rest.startsWith('/') ? rest : `/${rest}`}`
}

/** Browsers take two slashes, also with a backslash or tabs, for the start of another host. */
function onThisHost(path: string, { addPrefix }: ServiceNames): string {
  return addPrefix !== '' && /^\/\t*[/\\]/.test(path) ? `/.${path}` : path
}

function isOwnDomain(domain: string, { authorities }: ServiceNames): boolean {
  const wanted = domain.toLowerCase().replace(/^\./, '')
  for (const authority of authorities) {
    const host = hostOf(authority)
    if (host === wanted || (wanted.includes('.') && host.endsWith(`.${wanted}`))) return true
  }
  return false
}

function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, '')
}
