// Vitest setup file, switched on by `preset({ poisonsFreeMemory: true })`: chunks of transports are
// delivered as copies, and overwritten as soon as their receivers have answered that nothing refers
// to them any more. A receiver that answers wrongly reads 0xdd in place of its bytes.
import { type ChunkHolder, setMemoryProbe } from '../src/lent-memory.ts'

const POISON = 0xdd
const CHECK_INTERVAL_MS = 1
// Tests may replace the global timers.
const { setInterval, clearInterval } = globalThis

let held: { readonly memory: Buffer; readonly holder: ChunkHolder }[] = []
let checking: NodeJS.Timeout | undefined

function overwriteDrained(): void {
  held = held.filter(({ memory, holder }) => {
    if (holder.drained) memory.fill(POISON)
    return !holder.drained
  })
  if (held.length > 0) return
  clearInterval(checking)
  checking = undefined
}

setMemoryProbe({
  lend: (chunk) => {
    if (held.length > 0) overwriteDrained()
    return Buffer.from(chunk)
  },
  answered: (memory, answer) => {
    if (answer === true) memory.fill(POISON)
    else if (answer !== false) {
      held.push({ memory, holder: answer })
      checking ??= setInterval(overwriteDrained, CHECK_INTERVAL_MS).unref()
    }
  },
})
