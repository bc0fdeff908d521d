// @ts-check
// `pnpm check` after lint, format and types: the rules of this repository that no other tool checks.
import { checkBoundaries } from './check-boundaries.mjs'
import { checkDeps } from './check-deps.mjs'
import { checkDocs } from './check-docs.mjs'
import { checkPaths } from './check-paths.mjs'
import { checkStructure } from './check-structure.mjs'
import { checkTables } from './check-tables.mjs'
import { checkWorkflows } from './check-workflows.mjs'
import { ROOT } from './workspace.mjs'

const CHECKS = {
  structure: checkStructure,
  docs: checkDocs,
  paths: checkPaths,
  deps: checkDeps,
  boundaries: checkBoundaries,
  tables: checkTables,
  workflows: checkWorkflows,
}

for (const [name, check] of Object.entries(CHECKS)) {
  const problems = check(ROOT)
  console.log(`check ${name}: ${problems.length === 0 ? 'ok' : `${problems.length} problems`}`)
  for (const problem of problems) console.log(`  ${problem}`)
  if (problems.length > 0) process.exitCode = 1
}
