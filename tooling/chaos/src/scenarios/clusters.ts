// Nodes of one cluster: visitors of the first node, which has no agent, reach the agents of the other two.
import { setTimeout as delay } from 'node:timers/promises'

import { balancerProgram, type BalancerName } from '@proj/testkit/load-balancers'
import { postgresMissing } from '@proj/testkit/postgres-server'

import type { RestartScenario } from '../restart-scenario.ts'
import { checkErrorRows } from './restarts.ts'

const STAGE = { servers: 3, agents: 2, isCluster: true } as const

/**
 * nginx leaves a server out for 10 s after a refused connection, and a node is back sooner than that: without a
 * pause all three would be left out at once.
 */
const FAIL_TIMEOUT_MS = 10_500

/** Each node stopped and started in turn, behind a load balancer of docs/operations.md. */
function rolling(balancer: BalancerName): RestartScenario {
  return {
    name: `cluster-rolling-${balancer}`,
    fault: `SIGTERM of each of three nodes behind ${balancer} and a new start, two agents on two nodes`,
    expects: 'nothing fails',
    missing: () => (balancerProgram(balancer) === undefined ? `no ${balancer}` : postgresMissing()),
    stage: { ...STAGE, balancer },
    times: 1,
    async act({ stage, answered }) {
      for (const [at, node] of stage.servers.entries()) {
        await stage.restart(node)
        await stage.served(at)
        await answered(200)
        if (balancer === 'nginx') await delay(FAIL_TIMEOUT_MS)
      }
    },
  }
}

export const CLUSTER_ROLLING_NGINX = rolling('nginx')
export const CLUSTER_ROLLING_HAPROXY = rolling('haproxy')

export const CLUSTER_KILL_NODE: RestartScenario = {
  name: 'cluster-kill-node',
  fault: 'kill -9 of a node with agents, and a new start; visitors are those of another node',
  expects: 'at most 1 s of errors, at most 0.5 % of requests, no POST twice',
  missing: postgresMissing,
  stage: STAGE,
  times: 2,
  maxFailedShare: 0.005,
  async act({ stage, answered, figures }) {
    const at = 1 + ((figures['kills'] = (figures['kills'] ?? 0) + 1) % 2)
    await stage.servers[at]?.kill()
    await answered(400)
    await stage.servers[at]?.start()
    await stage.served(at)
    await answered(400)
  },
  finish: checkErrorRows,
}

/** Longer than a lease of 10 s and two renewals. */
const FROZEN_MS = 20_000

export const CLUSTER_FREEZE_NODE: RestartScenario = {
  name: 'cluster-freeze-node',
  fault: `a node with agents is stopped for ${FROZEN_MS / 1000} s where it is; visitors are those of another node`,
  expects: 'visitors are routed around it within 15 s, no POST twice',
  missing: postgresMissing,
  stage: STAGE,
  load: { perSecond: 50, keptAlive: 10 },
  times: 1,
  // What was on its way to it when it stopped: POST are not repeated.
  maxFailedShare: 0.05,
  async act({ stage, answered, figures }) {
    const node = stage.servers[2]
    const from = performance.now()
    node?.freeze()
    await answered(100)
    figures['100 answers after, ms'] = Math.round(performance.now() - from)
    await delay(FROZEN_MS - (performance.now() - from))
    node?.thaw()
    await answered(200)
  },
  finish({ check }, { slowestMs }) {
    check(slowestMs <= 15_000, `a visitor waited for ${slowestMs} ms`)
  },
}

/** How long the database is away in each round. */
const AWAY_MS = 15_000

export const CLUSTER_DATABASE: RestartScenario = {
  name: 'cluster-database',
  fault: `the database is killed, away for ${AWAY_MS / 1000} s and started again`,
  expects: 'nothing fails',
  missing: postgresMissing,
  stage: STAGE,
  times: 1,
  async act({ stage, answered, figures }) {
    await stage.database.kill()
    await delay(AWAY_MS)
    await stage.database.run()
    const back = performance.now()
    for (const at of stage.servers.keys()) await stage.served(at)
    figures['whole again after, ms'] = Math.round(performance.now() - back)
    await answered(200)
  },
}
