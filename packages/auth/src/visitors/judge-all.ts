import type { Gate } from './gate.ts'
import type { Verdict, VisitorRequest } from './verdict.ts'

/** Judges a request by several gates, in order: all of them must let it pass. */
export function judgeAll(
  gates: readonly Gate[],
  request: VisitorRequest,
): Verdict | Promise<Verdict> {
  let consumed = false
  for (const [index, gate] of gates.entries()) {
    const verdict = gate.judge(request)
    if (verdict instanceof Promise) {
      const rest = gates.slice(index + 1)
      return verdict.then(async (first) => {
        if (!first.admitted) return first
        const others = await judgeAll(rest, request)
        return others.admitted
          ? { admitted: true, consumed: consumed || first.consumed || others.consumed }
          : others
      })
    }
    if (!verdict.admitted) return verdict
    consumed ||= verdict.consumed
  }
  return { admitted: true, consumed }
}
