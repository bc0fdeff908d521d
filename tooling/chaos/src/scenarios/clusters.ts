// Nodes of one cluster: visitors of the first node, which has no agent, reach the agents of the other two.
import { setTimeout as delay } from 'node:timers/promises'

import { balancerProgram, type BalancerName } from '@proj/testkit/load-balancers'
import { postgresMissing } from '@proj/testkit/postgres-server'
import { until } from '@proj/testkit/until'
import { reserveName } from '@proj/tunnel'

import type { RestartScenario, RestartScene } from '../restart-scenario.ts'
import { checkErrorRows } from './restarts.ts'

/** Longest wait for something that a busy machine delays. */
const PATIENCE_MS = 120_000

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

/** How soon a cluster is whole again when its database is back, ms. */
const WHOLE_MS = 5_000

/**
 * Waits until each node has renewed its lease, its routes are stored, and it reserves a name.
 *
 * @param back - when the database was back, of performance.now().
 */
async function whole({ stage, figures, check, random }: RestartScene, back: number): Promise<void> {
  const stored = async (sql: string): Promise<number> => {
    const found = await stage.database.query(stage.databaseUrl, sql)
    return Number(found[0]?.['count'])
  }
  await until(
    async () => {
      const leases = 'select count(*) from adit_cluster_node where lease_until > now()'
      const routes = 'select count(distinct node) from adit_cluster_route where not is_gone'
      return (await stored(leases)) === STAGE.servers && (await stored(routes)) === STAGE.agents
    },
    { what: 'nodes and routes in the database', timeoutMs: PATIENCE_MS, pollMs: 20 },
  )
  for (const at of stage.servers.keys()) {
    const name = `whole-${at}-${random.between(0, 1e9)}`
    const reserve = async () => await reserveName({ url: stage.upstreamUrl(at) }, name)
    await until(reserve, { what: 'a name that is reserved', timeoutMs: PATIENCE_MS, pollMs: 20 })
    await stage.served(at)
  }
  const took = Math.round(performance.now() - back)
  figures['whole again after, ms'] = Math.max(figures['whole again after, ms'] ?? 0, took)
  check(took <= WHOLE_MS, `whole again after ${took} ms`)
}

/** The database is away for so long in each round. */
function away(name: string, seconds: number): RestartScenario {
  return {
    name,
    fault: `the database is killed, away for ${seconds} s and started again`,
    expects: 'nothing fails, whole again within 5 s',
    missing: postgresMissing,
    stage: STAGE,
    times: 1,
    isLong: seconds > 60,
    async act(scene) {
      await scene.stage.database.kill()
      await delay(seconds * 1_000)
      await scene.stage.database.run()
      await whole(scene, performance.now())
      await scene.answered(200)
    },
  }
}

export const CLUSTER_DATABASE = away('cluster-database', 15)
export const CLUSTER_DATABASE_AWAY = away('cluster-database-away', 600)

export const CLUSTER_DATABASE_FAILOVER: RestartScenario = {
  name: 'cluster-database-failover',
  fault: 'the database is killed and its standby takes over, at the same address',
  expects: 'nothing fails, whole again within 5 s',
  missing: postgresMissing,
  stage: { ...STAGE, hasStandby: true },
  times: 1,
  async act(scene) {
    await scene.answered(200)
    await scene.stage.failOver()
    await whole(scene, performance.now())
    await scene.answered(200)
  },
}

export const CLUSTER_DATABASE_EMPTIED: RestartScenario = {
  name: 'cluster-database-emptied',
  fault: 'every table of the database is removed',
  expects: 'nothing fails, whole again within 5 s',
  missing: postgresMissing,
  stage: STAGE,
  times: 2,
  async act(scene) {
    const { database, databaseUrl } = scene.stage
    await database.query(databaseUrl, 'drop schema public cascade; create schema public')
    await whole(scene, performance.now())
    await scene.answered(200)
  },
}
