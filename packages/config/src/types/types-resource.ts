import { resolve } from 'node:path'

import { ConfigError } from '../errors.ts'
import { quote } from '../printing/printable.ts'
import { Secret } from './secret.ts'
import type { ScalarType } from './value-type.ts'

/** Options of {@link url} and {@link secretUrl}. */
export interface UrlOptions {
  /** Allowed schemes without colon, such as `https`. The first one is used in examples. */
  readonly schemes: readonly string[]
  /** Words allowed in place of a URL, such as `direct`. @default none */
  readonly words?: readonly string[]
}

/** A path of a file or directory; a relative one starts at the file or directory it is written in. */
export function path(): ScalarType<string> {
  return {
    kind: 'scalar',
    name: 'path',
    allowed: 'a path; a relative one in a file starts at the directory of that file',
    schema: { type: 'string', minLength: 1 },
    completes: 'file',
    parse: (text, { baseDir }) => {
      if (text === '' || text.includes('\0')) {
        throw new ConfigError('CONFIG_VALUE_INVALID', `${quote(text)} is not a path`)
      }
      return resolve(baseDir, text)
    },
    format: (value) => value,
  }
}

/** A URL with host and optional port and path, without user and password. */
export function url(options: UrlOptions): ScalarType<string> {
  return {
    ...urlType(options),
    parse: (text) => {
      const parsed = parseUrl(text, options)
      if (parsed && (parsed.username !== '' || parsed.password !== '')) {
        // The text is not repeated: the part before the @ is a secret.
        throw new ConfigError('CONFIG_VALUE_INVALID', 'the URL holds a user name or password')
      }
      return text
    },
    format: (value) => value,
  }
}

/** A URL that may hold a user and password, which every print masks. */
export function secretUrl(options: UrlOptions): ScalarType<Secret> {
  return {
    ...urlType(options),
    secret: true,
    parse: (text) => {
      const parsed = parseUrl(text, options)
      if (!parsed) return new Secret(text, { display: text })
      if (parsed.password !== '') parsed.password = '***'
      return new Secret(text, { display: parsed.href.replace(/\/$/, '') })
    },
    format: String,
  }
}

/** A text that is never printed. Its companion key, flag and variable name a file to read it from. */
export function secret(): ScalarType<Secret> {
  return {
    kind: 'scalar',
    name: 'secret',
    allowed: 'any text',
    schema: { type: ['string', 'number'] },
    secret: true,
    parse: (text, { file }) => new Secret(text, { file }),
    format: String,
  }
}

function urlType(options: UrlOptions): Omit<ScalarType<never>, 'parse' | 'format'> {
  const { schemes, words = [] } = options
  const forms = schemes.map((scheme) => `${scheme}://`).join(', ')
  return {
    kind: 'scalar',
    name: 'url',
    allowed: `a URL with ${forms}${words.map((word) => `, or ${word}`).join('')}`,
    schema: {
      type: 'string',
      pattern: `^(${[...schemes.map((one) => `${one}://.*`), ...words].join('|')})$`,
    },
  }
}

function parseUrl(text: string, { schemes, words = [] }: UrlOptions): URL | undefined {
  if (words.includes(text)) return undefined
  const shown = quote(text.replace(/\/\/[^/]*@/, '//***@'))
  if (!URL.canParse(text) || !text.includes('://')) {
    const hint = /^[\w.[\]:-]+$/.test(text) ? { hint: `write ${schemes[0]}://${text}` } : {}
    throw new ConfigError('CONFIG_VALUE_INVALID', `${shown} is not a URL`, hint)
  }
  const parsed = new URL(text)
  if (!schemes.includes(parsed.protocol.slice(0, -1)) || parsed.hostname === '') {
    throw new ConfigError('CONFIG_VALUE_INVALID', `${shown} has a scheme that is not allowed`)
  }
  return parsed
}
