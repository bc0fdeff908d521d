/**
 * Finds the known word that was most likely meant: fewest edits, where swapping two neighbours
 * counts as one (optimal string alignment). At most a third of the letters may differ, so that
 * unrelated words are not suggested.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(Math.min(word.length, MAX_WORD) / 3)) + 1
  if (word.length > MAX_WORD) return undefined
  const plain = simplify(word)
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(plain, simplify(candidate))
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** Words longer than this are no typing mistakes; bounds the work, which grows with the square. */
const MAX_WORD = 80

/** Spelling conventions are no mistakes worth counting: bind-addr, bindAddr and bind_addr are one. */
function simplify(word: string): string {
  return word.replaceAll(/[-_]/g, '').toLowerCase()
}

function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        (current[column - 1] ?? 0) + 1,
        (last[column] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1)
      }
      current.push(cost)
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}
