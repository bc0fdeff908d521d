/**
 * Headers that a listener adds, sets or removes, as its settings write them: `Name: value` replaces the header,
 * `+Name: value` adds one, `-Name` removes it. A value may contain variables in braces.
 */
import { ConfigError, type ScalarType } from '@proj/config'

/** What the variables in a value stand for. */
export interface HeaderVariables {
  /** Address of the visitor; empty where it is not known. */
  readonly visitor: string
  /** Id of the request that the logs of all hops have; empty from servers that give none. */
  readonly request_id: string
  /** Name of the endpoint. */
  readonly endpoint: string
}

/** One line of the settings. */
export interface HeaderLine {
  readonly action: 'set' | 'add' | 'remove'
  readonly name: string
  readonly value: string
}

const VARIABLES = ['visitor', 'request_id', 'endpoint'] as const
const VARIABLE = /\{([a-z_]+)\}/g
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** What decides where a message ends or how it is handled on the way: these are not for the settings. */
const RESERVED =
  /^(?:connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|adit-.*|x-piko-.*)$/

/** The type of a line in the settings. */
export const headerLine: ScalarType<HeaderLine> = {
  kind: 'scalar',
  name: 'header',
  allowed: 'Name: value, +Name: value or -Name; {visitor}, {request_id}, {endpoint} in the value',
  schema: { type: 'string' },
  parse: parseHeaderLine,
  format: ({ action, name, value }) =>
    action === 'remove' ? `-${name}` : `${action === 'add' ? '+' : ''}${name}: ${value}`,
}

/** Reads a line. @throws {ConfigError} CONFIG_VALUE_INVALID */
export function parseHeaderLine(text: string): HeaderLine {
  const sign = text[0]
  const action = sign === '-' ? 'remove' : sign === '+' ? 'add' : 'set'
  const rest = action === 'set' ? text : text.slice(1)
  const colon = rest.indexOf(':')
  const name = (colon < 0 ? rest : rest.slice(0, colon)).trim()
  const value = colon < 0 ? '' : rest.slice(colon + 1).trim()
  const shown = JSON.stringify(text)
  if (!NAME.test(name)) refuse(`${shown} does not name a header`)
  if (RESERVED.test(name.toLowerCase())) {
    refuse(`the header ${name} cannot be changed here`, hintFor(name))
  }
  if (action === 'remove' && colon >= 0) refuse(`${shown}: a header to remove has no value`)
  if (action !== 'remove' && colon < 0) refuse(`${shown} has no value`, `write ${name}: value`)
  // oxlint-disable-next-line no-control-regex -- what would end the line
  if (/[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/.test(value)) {
    refuse(`the value of ${name} contains a character that a header cannot have`)
  }
  for (const [, variable = ''] of value.matchAll(VARIABLE)) {
    if (!VARIABLES.some((one) => one === variable)) {
      refuse(
        `there is no variable {${variable}}`,
        `use ${VARIABLES.map((one) => `{${one}}`).join(', ')}`,
      )
    }
  }
  return { action, name, value }
}

/** Replaces the variables of a text; what is no variable stays. */
export function fillVariables(text: string, variables: HeaderVariables): string {
  return text.includes('{')
    ? text.replaceAll(VARIABLE, (all, name: string) =>
        name in variables ? variables[name as keyof HeaderVariables] : all,
      )
    : text
}

/**
 * Applies lines to a flat list of headers (name, value, name, value), in their order.
 *
 * @returns a new list.
 */
export function changeHeaders(
  headers: readonly string[],
  lines: readonly HeaderLine[],
  variables: HeaderVariables,
): string[] {
  let changed = [...headers]
  for (const { action, name, value } of lines) {
    if (action !== 'add') changed = withoutHeader(changed, name)
    if (action !== 'remove') changed.push(name, fillVariables(value, variables))
  }
  return changed
}

/**
 * Removes each header of a name, also where it has underscores in place of hyphens: CGI, PHP and WSGI services cannot
 * tell X_User from X-User, and a visitor could so give a header that the settings set.
 */
export function withoutHeader(headers: readonly string[], name: string): string[] {
  const removed = plainName(name)
  return headers.filter((_, at) => plainName(headers[at - (at % 2)] ?? '') !== removed)
}

function plainName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

function hintFor(name: string): string | undefined {
  return name.toLowerCase() === 'host' ? 'set host_header' : undefined
}

function refuse(message: string, hint?: string): never {
  throw new ConfigError('CONFIG_VALUE_INVALID', message, hint === undefined ? {} : { hint })
}
