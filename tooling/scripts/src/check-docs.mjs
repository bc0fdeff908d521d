// @ts-check
// Every exported declaration has a doc comment; so has, in what a package exports to its users and in
// options wherever they are, every field and every public member: meaning, unit, range, default and
// effect are written where the thing is.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportedDeclarations, exportedNames } from './declarations.mjs'
import { filesBelow, workspacePackages } from './workspace.mjs'

// what is resolved from options is internal and has the same names
const OPTIONS = /^(?!Resolved).*Options$/

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkDocs(root) {
  return workspacePackages(root).flatMap(({ folder, path }) => {
    const index = join(path, 'src/index.ts')
    const text = existsSync(index) ? readFileSync(index, 'utf8') : ''
    const isPublic = new Set(exportedNames(text).map(withoutType))
    return filesBelow(join(path, 'src'), ['.ts']).flatMap((file) =>
      exportedDeclarations(readFileSync(join(path, 'src', file), 'utf8'))
        .flatMap((declaration) => {
          const { name } = declaration
          const inside = isPublic.has(name) || OPTIONS.test(name)
          return inside ? [declaration, ...membersOf(declaration)] : [declaration]
        })
        .filter(({ documented }) => !documented)
        .map(({ name, line }) => `${folder}/src/${file}:${line}: ${name} has no doc comment`),
    )
  })
}

/** @param {import('./declarations.mjs').Declaration} declaration */
function membersOf({ name, members }) {
  return members.map((member) => ({ ...member, name: `${name}.${member.name}` }))
}

/** @param {string} name - as in `export { type Name }` */
function withoutType(name) {
  return name.replace(/^type /, '')
}
