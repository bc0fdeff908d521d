// The order in which test files begin. Vitest goes by their size where it has not seen them run: a small file that
// takes long would begin last, and the other workers would wait for it.
import { BaseSequencer } from 'vitest/node'

/**
 * @param {readonly string[]} first - ends of the paths of the files that begin first, in this order
 * @returns {typeof BaseSequencer}
 */
export function longestFirst(first) {
  const rank = (/** @type {string} */ path) => {
    const at = first.findIndex((end) => path.endsWith(end))
    return at < 0 ? first.length : at
  }
  return class extends BaseSequencer {
    /** @param {Parameters<BaseSequencer['sort']>[0]} files */
    async sort(files) {
      // oxlint-disable-next-line unicorn/no-array-sort -- that of vitest is no array
      const sorted = await super.sort(files)
      return sorted.toSorted((one, other) => rank(one.moduleId) - rank(other.moduleId))
    }
  }
}
