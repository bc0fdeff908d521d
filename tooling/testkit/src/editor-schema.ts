// Checks a configuration file as an editor does that follows `# yaml-language-server: $schema=...`.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import { parseDocument } from 'yaml'

const MODELINE = /^# yaml-language-server: \$schema=(\S+)$/m

/** Gives a text the marks an editor would put on it: `place: what is wrong`; none when it is good. */
export type Judge = (text: string) => readonly string[]

/** The path of the schema a file names in its first comment; undefined when it names none. */
export function schemaOf(file: string): string | undefined {
  const named = MODELINE.exec(readFileSync(file, 'utf8'))?.[1]
  return named === undefined ? undefined : resolve(dirname(file), named)
}

/** Compiles a schema file. */
export function judgeBy(schemaFile: string): Judge {
  const options = { strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true }
  const check = new Ajv2020(options).compile(JSON.parse(readFileSync(schemaFile, 'utf8')))
  return (text) => {
    const document = parseDocument(text)
    if (document.errors.length > 0) return document.errors.map(({ code }) => `not YAML: ${code}`)
    return check(document.toJS()) ? [] : [...new Set(marks(check.errors ?? []))]
  }
}

/** For an anyOf only the summary is readable: the errors of each branch are left out. */
function marks(errors: readonly ErrorObject[]): string[] {
  const summaries = errors.filter(({ keyword }) => keyword === 'anyOf')
  const shown = errors.filter(
    (error) =>
      error.keyword === 'anyOf' ||
      !summaries.some(({ schemaPath }) => error.schemaPath.startsWith(`${schemaPath}/`)),
  )
  return shown.map(({ instancePath, message, params }) => {
    const key: unknown = params['additionalProperty']
    const detail = typeof key === 'string' ? `: ${key}` : ''
    return `${instancePath === '' ? '(file)' : instancePath}: ${message}${detail}`
  })
}
