// Adjacent free ports, for tests of port ranges. They were free in both families a moment ago, and are
// outside of the range of outgoing connections. Use port 0 wherever it is enough.
import { once } from 'node:events'
import { createServer } from 'node:net'

import { until } from './until.ts'

/** A range of ports, both ends included. */
export interface FreePorts {
  readonly first: number
  readonly last: number
}

const LOWEST = 10_000
const HIGHEST = 30_000

/** Finds so many free ports in a row. */
export async function freePorts(size: number): Promise<FreePorts> {
  const what = `${size} free ports in a row`
  return await until(async () => await tryRange(size), { what })
}

async function tryRange(size: number): Promise<FreePorts> {
  const first = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST - size))
  const servers = Array.from({ length: size }, () => createServer())
  try {
    for (const [index, server] of servers.entries()) {
      server.listen({ host: '::', port: first + index })
      await once(server, 'listening')
    }
    return { first, last: first + size - 1 }
  } finally {
    for (const server of servers) server.close()
  }
}
