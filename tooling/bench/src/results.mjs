// @ts-check
// From rounds to a table. A ratio is taken within each round, where both legs met the same machine,
// and the median of the ratios is shown; it need not be the ratio of the medians beside it.
import { ROWS } from './measures.mjs'

/** @typedef {Record<string, Record<string, number>>} Round - leg name → row → value */

/**
 * The rows of a table, in order. `better` says which direction a ratio should go.
 *
 * @typedef {Readonly<Record<string, { title: string, unit: string, better: 'more' | 'less' }>>} Rows
 */

/**
 * @param {readonly Round[]} rounds
 * @param {readonly string[]} legs - names; the last one is compared with each of the others
 * @param {Rows} [table]
 */
export function results(rounds, legs, table = ROWS) {
  const subject = legs.at(-1) ?? ''
  const rows = Object.entries(table).flatMap(([key, { title, unit, better }]) => {
    const medians = Object.fromEntries(
      legs.map((leg) => [leg, median(valuesOf(rounds, (round) => round[leg]?.[key]))]),
    )
    const ratios = Object.fromEntries(
      legs
        .filter((leg) => leg !== subject)
        .map((leg) => [leg, median(valuesOf(rounds, ratio(key, subject, leg)))]),
    )
    const isEmpty = Object.values(medians).every((value) => !(value > 0))
    return isEmpty ? [] : [{ key, title, unit, better, medians, ratios }]
  })
  const added = valuesOf(rounds, (round) => {
    const [ours, direct] = [round[subject]?.['singleP50'], round['direct']?.['singleP50']]
    return ours === undefined || direct === undefined ? undefined : ours - direct
  })
  return { subject, legs, rows, addedP50Ms: median(added) }
}

/**
 * @param {ReturnType<typeof results>} result
 * @returns {string}
 */
export function formatResults({ subject, legs, rows, addedP50Ms }) {
  const others = legs.filter((leg) => leg !== subject)
  const header = ['', ...legs, ...others.map((leg) => `${subject}/${leg}`)]
  const body = rows.map(({ title, unit, medians, ratios }) => [
    `${title}, ${unit}`,
    ...legs.map((leg) => number(medians[leg])),
    ...others.map((leg) => number(ratios[leg])),
  ])
  const widths = header.map((_, column) =>
    Math.max(...[header, ...body].map((cells) => cells[column]?.length ?? 0)),
  )
  const lines = [header, ...body].map((cells) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
  if (Number.isNaN(addedP50Ms)) return lines.join('\n')
  return [...lines, '', `p50 added by ${subject} to direct: ${number(addedP50Ms)} ms`].join('\n')
}

/**
 * @param {readonly Round[]} rounds
 * @param {(round: Round) => number | undefined} pick
 * @returns {number[]}
 */
function valuesOf(rounds, pick) {
  return rounds.map(pick).filter((value) => value !== undefined)
}

/**
 * @param {string} key
 * @param {string} subject
 * @param {string} leg
 * @returns {(round: Round) => number | undefined}
 */
function ratio(key, subject, leg) {
  return (round) => {
    const [ours, theirs] = [round[subject]?.[key], round[leg]?.[key]]
    return ours === undefined || !theirs ? undefined : ours / theirs
  }
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}

/** @param {number | undefined} value */
function number(value) {
  if (value === undefined || Number.isNaN(value)) return '-'
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}
