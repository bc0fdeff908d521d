// @ts-check
// `pnpm check` after lint, format and types: the rules of the house that no tool knows.
import { checkBoundaries } from './check-boundaries.mjs'
import { checkDeps } from './check-deps.mjs'
import { checkDocs } from './check-docs.mjs'
import { checkStructure } from './check-structure.mjs'
import { checkTables } from './check-tables.mjs'
import { checkWords } from './check-words.mjs'
import { ROOT } from './workspace.mjs'

const CHECKS = {
  structure: checkStructure,
  docs: checkDocs,
  words: checkWords,
  deps: checkDeps,
  boundaries: checkBoundaries,
  tables: checkTables,
}

for (const [name, check] of Object.entries(CHECKS)) {
  const problems = check(ROOT)
  console.log(`check ${name}: ${problems.length === 0 ? 'ok' : `${problems.length} problems`}`)
  for (const problem of problems) console.log(`  ${problem}`)
  if (problems.length > 0) process.exitCode = 1
}
