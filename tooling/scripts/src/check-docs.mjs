// @ts-check
// Doc comments stand where a user or an operator looks: on every declaration that the entry points of
// a package export, with its fields and public members, and on the fields of options everywhere.
// Meaning, unit, range, default and effect are written there.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportedDeclarations } from './declarations.mjs'
import { publishedNames } from './entry-points.mjs'
import { filesBelow, workspacePackages } from './workspace.mjs'

// resolved options are internal and have the same fields
const OPTIONS = /^(?!Resolved).*Options$/

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkDocs(root) {
  return workspacePackages(root).flatMap((found) => {
    const published = found.published ? publishedNames(found) : new Map()
    return filesBelow(join(found.path, 'src'), ['.ts']).flatMap((name) => {
      const file = join('src', name)
      const declarations = exportedDeclarations(readFileSync(join(found.path, file), 'utf8'))
      return problemsIn(declarations, published.get(file) ?? new Set()).map(
        ({ line, problem }) => `${found.folder}/${file}:${line}: ${problem}`,
      )
    })
  })
}

/**
 * @param {import('./declarations.mjs').Declaration[]} declarations - of one file
 * @param {Set<string>} published - names of that file that users can import
 */
function problemsIn(declarations, published) {
  const known = new Set(declarations.map(({ name }) => name))
  return [
    ...[...published]
      .filter((name) => !known.has(name))
      .map((name) => ({ line: 1, problem: `${name} is published and not declared with export` })),
    ...declarations
      .flatMap((declaration) => {
        if (published.has(declaration.name)) return [declaration, ...membersOf(declaration)]
        return OPTIONS.test(declaration.name) ? membersOf(declaration) : []
      })
      .filter(({ documented }) => !documented)
      .map(({ name, line }) => ({ line, problem: `${name} has no doc comment` })),
  ]
}

/** @param {import('./declarations.mjs').Declaration} declaration */
function membersOf({ name, members }) {
  return members.map((member) => ({ ...member, name: `${name}.${member.name}` }))
}
