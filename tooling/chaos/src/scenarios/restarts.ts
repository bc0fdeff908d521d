// Restarts that visitors must not notice. `--times 20` runs as many as a release is tested with.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

import { balancerProgram, type BalancerName } from '@proj/testkit/load-balancers'

import type { RestartScenario, RestartScene } from '../restart-scenario.ts'

const LONG_LIVED = { webSockets: 50, events: 20, uploads: 5 }

export const UPGRADE_SERVER: RestartScenario = {
  name: 'upgrade-server',
  fault: 'the only server is upgraded in place, with WebSockets, event streams and uploads open',
  expects: 'nothing fails, what is open goes on in the old process',
  stage: {},
  load: LONG_LIVED,
  times: 2,
  act: async (scene) =>
    await upgradeBesideOpen(scene, async (stage) => await stage.upgradeServer(0)),
}

export const UPGRADE_AGENT: RestartScenario = {
  name: 'upgrade-agent',
  fault: 'the only agent is upgraded in place, with WebSockets, event streams and uploads open',
  expects: 'nothing fails, what is open goes on in the old process',
  stage: {},
  load: LONG_LIVED,
  times: 2,
  act: async (scene) =>
    await upgradeBesideOpen(scene, async (stage) => await stage.upgradeAgent(stage.agents[0])),
}

/** Upgrades a program while connections are open that end after it. */
async function upgradeBesideOpen(
  { stage, load, answered }: RestartScene,
  upgrade: (stage: RestartScene['stage']) => Promise<number>,
): Promise<void> {
  const finish = await load.open()
  const before = await upgrade(stage)
  await answered(100)
  await finish()
  await stage.gone(before)
}

export const RESTART_AGENTS: RestartScenario = {
  name: 'restart-agents',
  fault: 'SIGTERM of one of two agents and a new start, then of the other one',
  expects: 'nothing fails',
  stage: { agents: 2 },
  times: 2,
  async act({ stage, answered }) {
    for (const agent of stage.agents) {
      await stage.restart(agent)
      await answered(100)
    }
  },
}

/** After a session that has lasted less than 5 s, agents wait longer with each attempt. */
const BETWEEN_MS = 5000

export const SOCKET_ACTIVATION: RestartScenario = {
  name: 'socket-activation',
  fault: 'SIGTERM of the only server and a new start, with sockets that a service manager holds',
  expects: 'nothing is refused, visitors wait for at most 2 s',
  stage: { hasHeldSockets: true, serverArgs: ['--drain.delay=0s'] },
  times: 2,
  async act({ stage, answered }) {
    await stage.restart(stage.servers[0])
    await answered(200)
    await delay(BETWEEN_MS)
  },
  finish({ check }, { slowestMs, refused }) {
    check(slowestMs <= 2000, `a visitor waited for ${slowestMs} ms`)
    check(refused === 0, `${refused} connections were refused`)
  },
}

/** Servers behind a load balancer of docs/operations.md, each stopped and started in turn. */
function rolling(balancer: BalancerName): RestartScenario {
  return {
    name: `rolling-${balancer}`,
    fault: `SIGTERM of each of three servers behind ${balancer} and a new start, two agents`,
    expects: 'nothing fails',
    missing: () => (balancerProgram(balancer) === undefined ? `no ${balancer}` : undefined),
    stage: { servers: 3, agents: 2, balancer },
    times: 1,
    async act({ stage, answered }) {
      for (const [at, server] of stage.servers.entries()) {
        await stage.restart(server)
        await stage.served(at)
        await answered(200)
      }
    },
  }
}

export const ROLLING_NGINX = rolling('nginx')
export const ROLLING_HAPROXY = rolling('haproxy')
export const ROLLING_CADDY = rolling('caddy')

// Not behind nginx: it leaves a server out for 10 s after its return, and both when they are killed in turn.
export const KILL_ONE_OF_TWO: RestartScenario = {
  name: 'kill-one-of-two',
  fault: 'kill -9 of one of two servers behind HAProxy, and a new start',
  expects: 'at most 1 s of errors, at most 0.5 % of requests, no POST twice',
  missing: () => (balancerProgram('haproxy') === undefined ? 'no haproxy' : undefined),
  stage: { servers: 2, agents: 2, balancer: 'haproxy' },
  times: 2,
  maxFailedShare: 0.005,
  async act({ stage, answered, figures }) {
    const at = ((figures['kills'] = (figures['kills'] ?? 0) + 1) % 2) as 0 | 1
    await stage.servers[at]?.kill()
    await answered(200)
    await stage.servers[at]?.start()
    await stage.served(at)
    await answered(200)
  },
  finish: checkErrorRows,
}

/** Errors less than so many ms apart are of one kill. */
const ONE_ROW_MS = 1500

/** Fails the scenario when the errors of one kill last for more than 1 s. */
export function checkErrorRows(
  { check, figures }: RestartScene,
  { failed }: { readonly failed: readonly string[] },
): void {
  const longestMs = longestRow(failed.map((line) => Date.parse(line.split(' ')[0] ?? '')))
  figures['longest row of errors, ms'] = longestMs
  check(longestMs <= 1000, `errors for ${longestMs} ms`)
}

function longestRow(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  let longest = 0
  let from = sorted[0] ?? 0
  for (const [index, at] of sorted.entries()) {
    if (at - (sorted[index - 1] ?? at) > ONE_ROW_MS) from = at
    longest = Math.max(longest, at - from)
  }
  return longest
}

/** A job lasts so long. */
const JOB_MS = 20_000
const CHUNK = Buffer.alloc(1024, 'p')
const CHUNK_MS = 50

export const PRINTERS: RestartScenario = {
  name: 'printers',
  fault: 'server, office and desk are upgraded in place in turn, ten printers with jobs of 20 s',
  expects: 'no job is lost, and each begins within 5 s',
  stage: { printers: 10 },
  load: { perSecond: 20, keptAlive: 3 },
  times: 1,
  async act(scene) {
    const { stage } = scene
    const upgrades = [
      async () => await stage.upgradeServer(0),
      async () => await stage.upgradeAgent(stage.office),
      async () => await stage.upgradeAgent(stage.desk),
    ]
    for (const upgrade of upgrades) {
      const running = stage.deskPorts.map(async (port) => await print(scene, port))
      await delay(2000)
      const before = await upgrade()
      const later = stage.deskPorts.map(async (port) => await print(scene, port))
      await Promise.all([...running, ...later])
      await stage.gone(before)
    }
  },
}

/** Prints one job, and counts it. */
async function print({ figures, check }: RestartScene, port: number): Promise<void> {
  const beganAt = performance.now()
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  let text = ''
  let failure = ''
  socket.setEncoding('latin1').on('data', (data: string) => (text += data))
  socket.on('error', (error: NodeJS.ErrnoException) => (failure = error.code ?? error.message))
  const closed = once(socket, 'close').catch(() => {})
  await Promise.race([once(socket, 'data').catch(() => {}), closed])
  const waitedMs = performance.now() - beganAt
  let sent = 0
  while (performance.now() - beganAt < JOB_MS && !socket.destroyed) {
    socket.write(CHUNK)
    sent += CHUNK.length
    await delay(CHUNK_MS)
  }
  socket.end()
  await closed
  figures['jobs'] = (figures['jobs'] ?? 0) + 1
  figures['jobs lost'] ??= 0
  figures['longest wait of a job, ms'] = Math.max(
    figures['longest wait of a job, ms'] ?? 0,
    waitedMs,
  )
  const isPrinted = text === `ready\n${sent}`
  if (!isPrinted) figures['jobs lost'] += 1
  check(isPrinted, `a job of ${sent} bytes was lost: ${JSON.stringify(text)} ${failure}`)
  check(waitedMs <= 5000, `a job waited for ${waitedMs.toFixed(0)} ms`)
}
