// @ts-check
// The project speaks of itself alone: nothing in it names the machine it was written on, where
// packages were fetched from, or who or what helped with the writing.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow } from './workspace.mjs'

// a bracket around one letter keeps a pattern from matching this file
const FORBIDDEN = [
  {
    what: 'a path of one machine',
    pattern: /\/(?:wor[k]\/|hom[e]\/[a-z]|roo[t]\/|User[s]\/[a-z])/,
  },
  { what: 'a path of one machine', pattern: /\/tm[p]\/(?:adit|bash)/ },
  {
    what: 'a package registry host',
    pattern: /regist[r]y\.(?:npm|yarn|node)|npmj[s]\.org|:\/\/[\w.-]*(?:regist[r]y|artifactor[y])/i,
  },
  {
    what: 'a tool of one workplace',
    pattern: /\bissue[s] show\b|shared\/(?:researc[h]|desig[n])/i,
  },
  {
    what: 'a writing aid',
    pattern: /\bclau[d]e|anthropi[c]|open[a]i\b|\bcopilo[t]|\bchatgp[t]|\bL[L]Ms?\b|\bA[I]\b/i,
  },
  { what: 'a writing aid', pattern: /language mode[l]|(?:coding|work|previous|A[I]) sessio[n]\b/i },
]

/**
 * @param {string} root
 * @returns {string[]} problems
 */
export function checkWords(root) {
  return projectFiles(root).flatMap((file) => [
    ...matches(file).map((what) => `${file}: the file name is ${what}`),
    ...readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, index) => matches(line).map((what) => `${file}:${index + 1}: ${what}`)),
  ])
}

/** @param {string} text */
function matches(text) {
  return FORBIDDEN.filter(({ pattern }) => pattern.test(text)).map(({ what }) => what)
}

/**
 * Files of the project: what git has or would take. Without git, all files.
 *
 * @param {string} root
 */
function projectFiles(root) {
  if (!existsSync(join(root, '.git'))) return filesBelow(root)
  const list = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: root })
  return list
    .toString()
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(root, file)))
}
