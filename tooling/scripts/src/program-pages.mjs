// @ts-check
// What an installation of a program has beside it: manual pages and completions, as the program prints
// them. They are the same for every platform. Needs a build.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { missingPrograms } from './programs.mjs'
import { ROOT } from './workspace.mjs'

/** Shells, with the name of the file that each looks for. */
const COMPLETIONS = {
  bash: (/** @type {string} */ program) => program,
  zsh: (/** @type {string} */ program) => `_${program}`,
  fish: (/** @type {string} */ program) => `${program}.fish`,
  powershell: (/** @type {string} */ program) => `${program}.ps1`,
}

/** Folders that are written below the target. */
export const PAGE_FOLDERS = ['completions', 'man']

/**
 * Writes `man/PROGRAM.1`, `man/PROGRAM.yaml.5`, and `completions/SHELL/FILE`. Throws if groff, where it
 * is installed, has a warning about a page.
 *
 * @param {string} program - `adit` or `adit-server`
 * @param {string} app - folder of the app: `apps/agent`
 * @param {string} target
 */
export function writePages(program, app, target) {
  const file = join(ROOT, app, `bin/${program}.js`)
  const print = (/** @type {string[]} */ ...args) => execFileSync(process.execPath, [file, ...args])
  mkdirSync(join(target, 'man'), { recursive: true })
  for (const [section, name] of [
    ['1', program],
    ['5', `${program}.yaml`],
  ]) {
    const page = print('manual', String(section))
    checkPage(`${name}(${section})`, page)
    writeFileSync(join(target, 'man', `${name}.${section}`), page)
  }
  for (const [shell, nameOf] of Object.entries(COMPLETIONS)) {
    const folder = join(target, 'completions', shell)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, nameOf(program)), print('completion', shell))
  }
}

/**
 * @param {string} name
 * @param {Buffer} page
 */
function checkPage(name, page) {
  if (missingPrograms([{ name: 'groff', debian: 'groff-base', usedFor: '' }]).length > 0) return
  const { stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww'], {
    input: page,
    encoding: 'utf8',
  })
  if (stderr.length > 0) throw new Error(`groff about ${name}: ${stderr}`)
}
