// How many connections wait to be accepted on a port. A connection over loopback usually waits there as soon as it
// was asked for; on a busy machine the kernel may deliver it later.
import { readFileSync } from 'node:fs'

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6']
const LISTEN = '0A'
const MAX_LOOKS = 10_000

/** Returns when so many connections wait on each of these ports; no turn of the event loop passes meanwhile. Linux only. */
export function untilQueued(ports: readonly number[], count = 1): void {
  for (let look = 0; look < MAX_LOOKS; look++) {
    const queued = queues()
    if (ports.every((port) => (queued.get(port) ?? 0) >= count)) return
  }
  throw new Error(`less than ${count} connections wait on a port of ${ports.join()}`)
}

function queues(): Map<number, number> {
  const found = new Map<number, number>()
  for (const line of TABLES.flatMap((table) => readFileSync(table, 'latin1').split('\n'))) {
    // sl local_address rem_address st tx_queue:rx_queue
    const [, local = '', , state, queue = ''] = line.trim().split(/\s+/)
    if (state !== LISTEN) continue
    const port = Number.parseInt(local.split(':')[1] ?? '', 16)
    found.set(port, (found.get(port) ?? 0) + Number.parseInt(queue.split(':')[1] ?? '', 16))
  }
  return found
}
