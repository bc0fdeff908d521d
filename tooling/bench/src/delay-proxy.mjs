// @ts-check
// A TCP proxy that passes on everything some time later: a line of any rate without loss, for paths that are
// faster than the packets of a shaped link can be carried. TCP itself meets no delay here, only what is on
// top of it does. Prints {"event":"ready","port":port}.
//
//     delay-proxy.mjs PORT RTT_MS
import { connect, createServer } from 'node:net'

// 500 ms at 500 MB/s
const MAX_UNDER_WAY_BYTES = 256 * 1024 * 1024

const [port, rttMs] = process.argv.slice(2).map(Number)

const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ port: port ?? 0, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  delay(near, far)
  delay(far, near)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const own = typeof address === 'object' ? address?.port : undefined
  console.log(JSON.stringify({ event: 'ready', port: own }))
})

/**
 * @param {import('node:net').Socket} from
 * @param {import('node:net').Socket} to
 */
function delay(from, to) {
  /** @type {{ dueMs: number, chunk: Buffer | undefined }[]} chunks in order; undefined is the end */
  let underWay = []
  let bytes = 0
  const arrive = () => {
    const now = performance.now()
    const count = underWay.findIndex(({ dueMs }) => dueMs > now)
    const due = count < 0 ? underWay : underWay.slice(0, count)
    underWay = count < 0 ? [] : underWay.slice(count)
    to.cork()
    for (const { chunk } of due) {
      if (chunk === undefined) to.end()
      else to.write(chunk, () => passed(chunk.length))
    }
    to.uncork()
    const [next] = underWay
    if (next !== undefined) setTimeout(arrive, Math.max(1, next.dueMs - now))
  }
  const send = (/** @type {Buffer | undefined} */ chunk) => {
    underWay.push({ dueMs: performance.now() + (rttMs ?? 0) / 2, chunk })
    if (underWay.length === 1) setTimeout(arrive, (rttMs ?? 0) / 2)
    bytes += chunk?.length ?? 0
    if (bytes >= MAX_UNDER_WAY_BYTES) from.pause()
  }
  const passed = (/** @type {number} */ length) => {
    bytes -= length
    if (bytes < MAX_UNDER_WAY_BYTES) from.resume()
  }
  from.on('data', send)
  from.on('end', () => send(undefined))
  from.on('error', () => to.destroy())
  from.on('close', () => {
    if (!from.readableEnded) to.destroy()
  })
}
