// @ts-check
// Reads the exported declarations of a source file, and whether each has a doc comment. Reading line
// by line is enough because the formatter decides how a declaration looks: it starts at column 0, its
// members at column 2, and it ends with a bracket at column 0.

/**
 * @typedef {object} Declaration
 * @property {string} name
 * @property {number} line - of the declaration, from 1
 * @property {boolean} documented
 * @property {Declaration[]} members - of an interface or class; public ones only
 */

const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:async )?(function\*?|class|interface|type|const|let|enum) ([\w$]+)/
const EXPORT_LIST = /^export (?:type )?\{([^}]*)\}(?: from ['"]([^'"]+)['"])?/gm
const INTERFACE_MEMBER = /^ {2}(?:readonly |get |set )*([\w$]+)\??[(:<]/
const CLASS_MEMBER =
  /^ {2}(?:static |readonly |async |get |set |accessor |declare |\*)*([\w$]+)[?!]?(?:[(:;<]| =)/
// members that the base class or the language requires need no comment
const SILENT_MEMBERS = /^(?:constructor|static|_.*)$/

/**
 * Lists what a file declares and exports, each name once.
 *
 * @param {string} text
 * @returns {Declaration[]}
 */
export function exportedDeclarations(text) {
  const lines = text.split('\n')
  /** @type {Map<string, Declaration>} */
  const found = new Map()
  for (const [index, line] of lines.entries()) {
    const [, kind, name] = DECLARATION.exec(line) ?? []
    if (kind === undefined || name === undefined || found.has(name)) continue
    const members = kind === 'interface' || kind === 'class' ? membersOf(lines, index, kind) : []
    found.set(name, { name, line: index + 1, documented: isDocumented(lines, index), members })
  }
  return [...found.values()]
}

/**
 * Lists what a file exports in lists: `export { a, type B as C } from './x.ts'`.
 *
 * @param {string} text
 * @returns {{ name: string, exportedAs: string, from: string | undefined }[]} `from` is undefined for
 *   a list of names of the file itself
 */
export function reExports(text) {
  return [...text.matchAll(EXPORT_LIST)].flatMap(([, list = '', from]) =>
    list
      .split(',')
      .map((entry) => entry.trim().replace(/^type /, ''))
      .filter((entry) => entry !== '')
      .map((entry) => {
        const [name = '', exportedAs = name] = entry.split(' as ')
        return { name, exportedAs, from }
      }),
  )
}

/**
 * @param {string[]} lines
 * @param {number} start
 * @param {'interface' | 'class'} kind
 */
function membersOf(lines, start, kind) {
  /** @type {Map<string, Declaration>} */
  const members = new Map()
  const pattern = kind === 'interface' ? INTERFACE_MEMBER : CLASS_MEMBER
  if (lines[start]?.endsWith('}')) return []
  for (let index = start + 1; index < lines.length && lines[index] !== '}'; index++) {
    const name = pattern.exec(lines[index] ?? '')?.[1]
    if (name === undefined || SILENT_MEMBERS.test(name) || members.has(name)) continue
    const documented = isDocumented(lines, index)
    members.set(name, { name, line: index + 1, documented, members: [] })
  }
  return [...members.values()]
}

/**
 * @param {string[]} lines
 * @param {number} index
 */
function isDocumented(lines, index) {
  let above = index - 1
  while (lines[above]?.trim().startsWith('// ')) above -= 1
  if (!lines[above]?.trim().endsWith('*/')) return false
  while (above >= 0 && !lines[above]?.trim().startsWith('/*')) above -= 1
  return lines[above]?.trim().startsWith('/**') === true
}
