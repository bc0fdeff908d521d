// @ts-check
// A relay of TCP that does nothing else: what a process between two others costs at least. Two of them, one at each end
// of a line, are a tunnel without streams, limits and errors. Prints {"event":"ready","port":port}.
//
//     relay.mjs LISTEN_ADDRESS HOST PORT
import { connect, createServer } from 'node:net'

const [address, host, port] = process.argv.slice(2)

const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ port: Number(port), host, allowHalfOpen: true, noDelay: true })
  relay(near, far)
  relay(far, near)
})
server.listen(0, address, () => {
  const bound = server.address()
  const own = typeof bound === 'object' ? bound?.port : undefined
  console.log(JSON.stringify({ event: 'ready', port: own }))
})

/**
 * @param {import('node:net').Socket} from
 * @param {import('node:net').Socket} to
 */
function relay(from, to) {
  from.on('data', (chunk) => {
    if (!to.write(chunk)) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  from.on('error', () => to.destroy())
  from.on('close', () => {
    if (!from.readableEnded) to.destroy()
  })
}
