import { readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'

/**
 * Reads a file with any number of YAML documents.
 *
 * @throws the first error or warning of the parser.
 */
export function readYamlDocuments(path: string): unknown[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => {
    const [problem] = [...document.errors, ...document.warnings]
    if (problem !== undefined) throw problem
    return document.toJS() as unknown
  })
}
