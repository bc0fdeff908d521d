// @ts-check
// The pages of docs/reference/errors: one for each family of codes, with a heading, and so an address,
// for each code, and an index of all. Run by itself it prints them as JSON, by their path.
import { pathToFileURL } from 'node:url'
import { ERROR_FAMILIES } from './error-tables.mjs'

/** @typedef {import('./error-tables.mjs').ErrorFamily} ErrorFamily */
/** @typedef {import('./error-tables.mjs').ErrorEntry} ErrorEntry */

/** Folder of the pages, below the root. */
export const ERROR_PAGES = 'docs/reference/errors'

const NOTE = '<!-- Written by `pnpm reference` from the definitions of the codes: change those. -->'

/**
 * @param {readonly ErrorFamily[]} families
 * @returns {Record<string, string>} text by path below the root
 */
export function formatErrorPages(families = ERROR_FAMILIES) {
  return Object.fromEntries([
    [`${ERROR_PAGES}/README.md`, formatIndex(families)],
    ...families.map((family) => [`${ERROR_PAGES}/${family.page}.md`, formatFamily(family)]),
  ])
}

/** @param {readonly ErrorFamily[]} families */
function formatIndex(families) {
  return [
    '# Error codes',
    NOTE,
    'A code never changes its meaning. Search this page for the code that you have; its link says what it means, who should act, what to do, and how it looks. Texts may change: programs should read codes. The numbers that the programs end with are in [exit codes](../../exit-codes.md).',
    ...families.flatMap(({ page, title, about, entries }) => [
      `## [${title}](${page}.md)`,
      about,
      `| Code | Meaning |\n| --- | --- |\n${entries
        .map(
          ({ code, meaning }) => `| [\`${code}\`](${page}.md#${anchor(code)}) | ${cell(meaning)} |`,
        )
        .join('\n')}`,
    ]),
    '',
  ].join('\n\n')
}

/** @param {ErrorFamily} family */
function formatFamily({ title, about, samples, entries }) {
  return [
    `# ${title}`,
    NOTE,
    `${about} All codes are in [the index](README.md).`,
    ...samples.flatMap(({ command, output }) => [fenced(`$ ${command}\n${output}`)]),
    ...entries.flatMap(formatEntry),
    '',
  ].join('\n\n')
}

/** @param {ErrorEntry} entry */
function formatEntry({ code, meaning, who, todo, ownerTodo, again, looks }) {
  const facts = [
    ['Who should act', who],
    [ownerTodo === undefined ? 'What to do' : 'What the visitor can do', todo],
    ['What the owner of the service can do', ownerTodo],
    ['Can it succeed later', again],
  ]
  return [
    `## ${code}`,
    sentence(meaning),
    facts
      .filter(([, fact]) => fact !== undefined && fact !== '')
      .map(([name, fact = '']) => `- **${name}:** ${sentence(fact)}`)
      .join('\n'),
    ...(looks === undefined ? [] : [fenced(looks)]),
  ]
}

/** @param {string} text */
function fenced(text) {
  return `\`\`\`text\n${text}\n\`\`\``
}

/** @param {string} text */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`
}

/** @param {string} text - of a cell of a table */
function cell(text) {
  return text.replaceAll('|', '\\|')
}

/** The address that a heading has on GitHub and on the site. @param {string} code */
function anchor(code) {
  return code.toLowerCase()
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(JSON.stringify(formatErrorPages()))
}
