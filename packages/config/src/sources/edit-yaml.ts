import { Document, isMap, isScalar, parseDocument } from 'yaml'

import { ConfigError } from '../errors.ts'

/** A value to write into a file: undefined removes the key. */
export type EditedValue = string | readonly string[] | undefined

/**
 * Writes values into the text of a YAML file. Comments and everything else stay as they are.
 *
 * @param text - of the file; empty for a new one.
 * @param values - by key path, `connect.url`.
 * @throws {ConfigError} CONFIG_FILE_SYNTAX when the text is no YAML, or a group of a path is no map.
 */
export function editYaml(text: string, values: Readonly<Record<string, EditedValue>>): string {
  const parsed = parseDocument(text)
  if (parsed.errors.length > 0) {
    throw new ConfigError('CONFIG_FILE_SYNTAX', 'the file is not valid YAML')
  }
  const isEmpty = parsed.contents === null
  const document = isEmpty ? new Document({}) : parsed
  for (const [key, value] of Object.entries(values)) {
    const path = key.split('.')
    for (const depth of path.keys()) {
      const group = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true)
      if (depth > 0 && isScalar(group) && group.value === null) {
        const map = document.createNode({}) // `connect:` has no keys yet
        map.commentBefore = group.comment ?? null
        document.setIn(path.slice(0, depth), map)
      } else if (group !== undefined && group !== null && !isMap(group)) {
        const name = depth === 0 ? 'the file' : path.slice(0, depth).join('.')
        throw new ConfigError('CONFIG_FILE_SYNTAX', `${name} has no keys`)
      }
    }
    if (value === undefined) document.deleteIn(path)
    else document.setIn(path, document.createNode(value))
  }
  const edited = document.toString()
  return isEmpty && text.trim() !== '' ? `${text.trimEnd()}\n\n${edited}` : edited
}
