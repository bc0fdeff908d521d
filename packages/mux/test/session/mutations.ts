// Input for the fuzzer: a valid conversation that is then damaged.
import { header } from '../wire.ts'

/** Random numbers from a seed: mulberry32. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** An integer of at least 0 and below `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % end
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0
  }
}

const PAYLOAD = Buffer.alloc(400, 'payload ')
const ODD_LENGTHS = [0, 1, 12, 0xffff, 262_144, 262_145, 0x7fff_ffff, 0xffff_ffff]

/** Frames a client could send; most are valid in their place. */
export function conversation(random: Random): Buffer {
  const parts: Buffer[] = []
  let opened = 0
  for (let left = 1 + random.below(12); left > 0; left--) {
    const live = opened === 0 ? 2 : 1 + 2 * random.below(opened)
    const id = random.oneIn(4) ? 2 + 2 * random.below(3) : live
    switch (random.below(8)) {
      case 0:
      case 1:
        parts.push(header(1, 1, 1 + 2 * opened, 0))
        opened += 1
        break
      case 2:
      case 3: {
        const bytes = random.below(PAYLOAD.length)
        parts.push(header(0, 0, id, bytes), PAYLOAD.subarray(0, bytes))
        break
      }
      case 4:
        parts.push(header(1, random.oneIn(3) ? 2 : 0, id, random.below(100_000)))
        break
      case 5:
        parts.push(header(1, random.oneIn(3) ? 8 : 4, id, 0))
        break
      case 6:
        parts.push(header(2, 1 + random.below(2), 0, random.below(4)))
        break
      default:
        if (random.oneIn(4)) parts.push(header(3, 0, 0, random.below(3)))
    }
  }
  return Buffer.concat(parts)
}

/** Damages `bytes` in place, or leaves them; may return fewer. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  for (let left = random.below(4); left > 0 && bytes.length > 12; left--) {
    const at = random.below(bytes.length)
    switch (random.below(5)) {
      case 0:
        bytes[at] = random.below(256)
        break
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
        break
      case 2:
        bytes.writeUInt32BE(
          ODD_LENGTHS[random.below(ODD_LENGTHS.length)] ?? 0,
          Math.min(at, bytes.length - 4),
        )
        break
      case 3:
        bytes.copyWithin(at, random.below(bytes.length))
        break
      default:
        return bytes.subarray(0, at)
    }
  }
  return bytes
}
