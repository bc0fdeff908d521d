// The load balancers of docs/operations.md as it shows them: three servers, two agents, and each server stopped
// and started again while visitors come. `pnpm chaos --only rolling` does it often, at 200 requests a second.
import {
  balancerProgram,
  type BalancerName,
  ownNetwork,
  SERVER_PORTS,
  startBalancer,
} from '@proj/testkit/load-balancers'
import { CountingService, SteadyLoad } from '@proj/testkit/steady-load'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { adit, aditServer } from './programs.ts'

const SERVERS = [1, 2, 3] as const
/** Those of them that are restarted: all of them on one version of Node. */
const RESTARTED = process.env['ADIT_FULL_TESTS'] === '1' ? SERVERS : ([1] as const)
const BALANCERS: readonly BalancerName[] = ['nginx', 'haproxy', 'caddy']

/**
 * Longer than the 10 s for which nginx leaves out a server that refused a connection: it counts from the restart
 * of one server to the moment in which the next one closes its ports. Otherwise nginx may have none left.
 */
const DRAIN_DELAY = '11s'

/** On a busy machine a step takes longer: that costs time, never a request. */
const PATIENCE = [
  ['--upstream.absent-wait', '1m'],
  ['--upstream.start-wait', '1m'],
  ['--proxy.first-byte-timeout', '2m'],
  ['--proxy.max-loop-delay', 'inf'],
  ['--grace-period', '5m'],
].flat()

test.runIf(process.platform === 'linux')(
  `visitors behind nginx, HAProxy and Caddy do not notice that ${RESTARTED.length} of three servers are restarted in turn`,
  { timeout: 300_000 },
  async ({ skip, annotate }) => {
    const present = BALANCERS.filter((name) => balancerProgram(name) !== undefined)
    skip(present.length === 0, 'no nginx, HAProxy or Caddy')
    const missing = BALANCERS.filter((name) => !present.includes(name))
    if (missing.length > 0) await annotate(`not run, missing here: ${missing.join(', ')}`)
    const network = ownNetwork()
    const start = async (at: number) => {
      const binds = Object.entries(SERVER_PORTS).map(
        ([name, port]) => `--${name}.bind-addr=${network}.${at}:${port}`,
      )
      const server = aditServer([...binds, `--drain.delay=${DRAIN_DELAY}`, ...PATIENCE, '--json'])
      await server.event('ready')
      return server
    }
    const served = async (at: number): Promise<void> => {
      const url = `http://${network}.${at}:${SERVER_PORTS.admin}/status/upstream/endpoints`
      await until(async () => ((await (await fetch(url)).json()) as { web?: number }).web)
    }
    const service = new CountingService()
    onTestFinished(() => service.close())
    const port = String(await service.listen())
    const servers = await Promise.all(SERVERS.map(start))
    const urls = SERVERS.map(
      (at) => `--connect.url=http://${network}.${at}:${SERVER_PORTS.upstream}`,
    )
    const connections = ['--connect.connections=3', '--connect.spread-interval=500ms']
    for (let count = 0; count < 2; count += 1) adit(['http', 'web', port, ...urls, ...connections])
    for (const at of SERVERS) await served(at)
    const loads = await Promise.all(
      present.map(async (name, at) => {
        const balancer = await startBalancer(name, network, at)
        onTestFinished(async () => await balancer.stop())
        const { address, port: own } = balancer
        const visitors = { address, port: own, host: 'web.localhost', perSecond: 15, keptAlive: 3 }
        return { name, balancer, load: new SteadyLoad(service, visitors) }
      }),
    )
    const more = async (count: number): Promise<void> => {
      const before = loads.map(({ load }) => load.answered)
      const isDone = (): boolean =>
        loads.every(({ load }, at) => load.answered >= (before[at] ?? 0) + count)
      await until(isDone)
    }
    for (const { load } of loads) load.start()
    await more(10)
    for (const [index, at] of RESTARTED.entries()) {
      const stopping = servers[index]
      stopping?.kill('SIGTERM')
      expect((await stopping?.exited)?.code).toBe(0)
      await start(at)
      await served(at)
      await more(10)
    }
    for (const { name, load, balancer } of loads) {
      const { failed, wrong, doubledPosts } = await load.stop()
      // What comes in the moment in which a port is closed is reset by the kernel, and nginx repeats no POST.
      const resets = name === 'nginx' ? resetPosts(balancer.process.stderr) : 0
      const others = failed.length <= Math.min(resets, 2 * RESTARTED.length) ? [] : failed
      const log = others.length === 0 ? [] : problems(balancer.process.stderr)
      expect({ name, others, log, wrong, doubledPosts }).toEqual({
        name,
        others: [],
        log: [],
        wrong: 0,
        doubledPosts: 0,
      })
    }
  },
)

/** How many POST the log of nginx has whose connection was reset. */
function resetPosts(log: string): number {
  return log.split('\n').filter((line) => /\(104: .*"POST /.test(line)).length
}

/** What the load balancer wrote about requests that failed, for the report of a failure. */
function problems(log: string): readonly string[] {
  return log
    .split('\n')
    .filter((line) => line !== '')
    .slice(-20)
}
