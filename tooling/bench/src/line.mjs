// @ts-check
// Keeps a line with a round trip time, a loss and a rate until it is ended with Ctrl-C, to try any program on
// it. Needs Linux, root and iproute2.
//
//     node line.mjs [--rtt 50] [--loss 1] [--rate 200] [--congestion cubic]     ms, percent, Mbit/s
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { register } from 'tsx/esm/api'

register() // the link is TypeScript
const { netnsMissing } = await import('@proj/testkit/netns')
const { FAR_ADDRESS, NEAR_ADDRESS, shapedLink } = await import('@proj/testkit/shaped-link')

const { values } = parseArgs({
  options: {
    rtt: { type: 'string', default: '50' },
    loss: { type: 'string', default: '1' },
    rate: { type: 'string', default: '200' },
    congestion: { type: 'string' },
  },
})
const missing = netnsMissing()
if (missing !== undefined) throw new Error(missing)
const link = await shapedLink({
  rttMs: Number(values.rtt),
  lossPercent: Number(values.loss),
  mbitPerSecond: Number(values.rate),
  ...(values.congestion !== undefined && { congestionControl: values.congestion }),
})
console.log(`near: ${link.near.prefix.join(' ')} COMMAND   ${NEAR_ADDRESS}`)
console.log(`far:  ${link.far.prefix.join(' ')} COMMAND   ${FAR_ADDRESS}`)
const keepAlive = setInterval(() => {}, 60_000)
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
clearInterval(keepAlive)
await link[Symbol.asyncDispose]()
