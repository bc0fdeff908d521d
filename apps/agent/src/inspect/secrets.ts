/**
 * Which parts of an exchange are secrets. They are hidden here, in the agent: no list, no screenshot and no export
 * has them unless they are asked for. Bodies are shown as they are.
 */
import type { HeaderField } from '@proj/pages'

const SECRET_HEADERS: ReadonlySet<string> = new Set([
  'api-key',
  'authorization',
  'cf-access-jwt-assertion',
  'cookie',
  'private-token',
  'proxy-authorization',
  'set-cookie',
  'x-access-token',
  'x-amz-security-token',
  'x-api-key',
  'x-auth-token',
  'x-csrf-token',
  'x-forwarded-access-token',
  'x-goog-iap-jwt-assertion',
  'x-piko-authorization',
  'x-vault-token',
  'x-xsrf-token',
])

const SECRET_KEYS: ReadonlySet<string> = new Set([
  'access_token',
  'api_key',
  'apikey',
  'client_secret',
  'code',
  'id_token',
  'jwt',
  'key',
  'otp',
  'passwd',
  'password',
  'refresh_token',
  'secret',
  'session',
  'sid',
  'sig',
  'signature',
  'token',
  'x-amz-credential',
  'x-amz-security-token',
  'x-amz-signature',
])

/** Headers whose value is a URL, which may have secrets in its query. */
const URL_HEADERS: ReadonlySet<string> = new Set([
  'content-location',
  'location',
  'origin',
  'referer',
  'refresh',
  'x-original-url',
])

/** A JSON Web Token, wherever it stands. */
const JWT = /eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g

/** What stands in place of a secret in a URL or a text. */
const HIDDEN = 'hidden'

/** Decides what is hidden. */
export class Secrets {
  readonly #headers: ReadonlySet<string>
  readonly #keys: ReadonlySet<string>

  /** @param more - further names of headers and of keys in queries. */
  constructor(more: readonly string[] = []) {
    const names = more.map((name) => name.toLowerCase())
    this.#headers = new Set([...SECRET_HEADERS, ...names])
    this.#keys = new Set([...SECRET_KEYS, ...names])
  }

  /** A target or URL without the secrets of its query. */
  maskTarget(url: string): string {
    // A fragment never crosses in a request; in a Location it may hold a token.
    const hash = url.indexOf('#')
    const target = hash === -1 ? url : url.slice(0, hash)
    const fragment = hash === -1 ? '' : `#${HIDDEN}`
    const mark = target.indexOf('?')
    const path = mark === -1 ? target : target.slice(0, mark)
    const shown = maskUserInfo(path).replace(JWT, HIDDEN)
    if (mark === -1) return shown + fragment
    const pairs = target
      .slice(mark + 1)
      .split('&')
      .map((pair) => this.#maskPair(pair))
    return `${shown}?${pairs.join('&')}${fragment}`
  }

  /** The header lines, secrets hidden. */
  maskHeaders(headers: readonly string[]): HeaderField[] {
    const fields: HeaderField[] = []
    for (let at = 0; at < headers.length; at += 2) {
      fields.push(this.#mask(headers[at] ?? '', headers[at + 1] ?? ''))
    }
    return fields
  }

  #maskPair(pair: string): string {
    const equals = pair.indexOf('=')
    if (equals === -1 || equals === pair.length - 1) return pair.replace(JWT, HIDDEN)
    const key = decodeKey(pair.slice(0, equals))
    const inner = /\[([^[\]]*)\]$/.exec(key)?.[1] ?? key
    const isSecret = this.#keys.has(key) || this.#keys.has(inner)
    return isSecret ? `${pair.slice(0, equals)}=${HIDDEN}` : pair.replace(JWT, HIDDEN)
  }

  #mask(name: string, value: string): HeaderField {
    const lower = name.toLowerCase()
    if (this.#headers.has(lower) && value !== '') {
      return { name, value: shownPart(lower, value), hidden: value.length }
    }
    const shown = URL_HEADERS.has(lower) ? this.maskTarget(value) : value.replace(JWT, HIDDEN)
    return shown === value ? { name, value } : { name, value: shown, hidden: value.length }
  }
}

/** The part of a secret header that is none: the scheme, or names and attributes of cookies. */
function shownPart(name: string, value: string): string {
  if (name === 'authorization' || name === 'proxy-authorization') {
    return /^([A-Za-z][\w-]{0,30}) /.exec(value)?.[1] ?? ''
  }
  if (name === 'cookie') {
    return value
      .split(';')
      .map((pair) => `${pair.split('=', 1)[0]?.trim() ?? ''}=${HIDDEN}`)
      .join('; ')
  }
  if (name === 'set-cookie') {
    const [pair = '', ...attributes] = value.split(';')
    return [`${pair.split('=', 1)[0]?.trim() ?? ''}=${HIDDEN}`, ...attributes].join(';')
  }
  return ''
}

function maskUserInfo(url: string): string {
  return url.replace(/^([a-z][a-z\d+.-]*:\/\/)[^/?#@]*@/i, `$1${HIDDEN}@`)
}

function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' ')).toLowerCase()
  } catch {
    return text.toLowerCase()
  }
}
