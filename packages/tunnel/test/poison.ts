// Vitest setup file: memory of sockets is overwritten as soon as a receiver has answered that nothing
// refers to it any more. A receiver that answers wrongly then sends 0xdd in place of its bytes.
import { setFreeMemoryProbe } from '../src/io/lent-buffers.ts'

setFreeMemoryProbe((memory) => memory.fill(0xdd))
