import { createHash } from 'node:crypto'

import { RULE_DIGEST_BYTES } from '../protocol/stream-record.ts'
import type { VisitorRules } from '../protocol/visitor-rules.ts'

const NONE = Buffer.alloc(0)
/** Lists of rules stay the same until one of them changes. */
const known = new WeakMap<readonly VisitorRules[], Buffer>()

/** The digests of rules, one behind the other, as the record of a stream between nodes has them. */
export function digestsOf(rules: readonly VisitorRules[] | undefined): Buffer {
  if (rules === undefined || rules.length === 0) return NONE
  let digests = known.get(rules)
  if (digests === undefined) {
    const all = rules.map(({ id }) => createHash('sha256').update(id).digest())
    digests = Buffer.concat(all.map((digest) => digest.subarray(0, RULE_DIGEST_BYTES)))
    known.set(rules, digests)
  }
  return digests
}

/** Whether a visitor who was checked by one list of rules was checked by all of another. */
export function coversDigests(checked: Buffer, demanded: Buffer): boolean {
  for (let at = 0; at < demanded.length; at += RULE_DIGEST_BYTES) {
    const one = demanded.subarray(at, at + RULE_DIGEST_BYTES)
    if (!hasDigest(checked, one)) return false
  }
  return true
}

function hasDigest(digests: Buffer, one: Buffer): boolean {
  for (let at = 0; at < digests.length; at += RULE_DIGEST_BYTES) {
    if (digests.subarray(at, at + RULE_DIGEST_BYTES).equals(one)) return true
  }
  return false
}
