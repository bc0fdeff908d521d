// Kills of nodes and of their database while names and tokens are made.
import { setTimeout as delay } from 'node:timers/promises'

import { postgresMissing } from '@proj/testkit/postgres-server'

import { ClusterWriters } from '../cluster-writers.ts'
import type { RestartScenario, RestartScene } from '../restart-scenario.ts'

/** What a round kills. */
const VICTIMS = ['node', 'node', 'database', 'node and database', 'all'] as const

/** Longest time that they are away, ms. */
const AWAY_MS = 300

/** How long what a round kills was left alone at most, ms. */
const QUIET_MS = 500

const running = new WeakMap<RestartScene, ClusterWriters>()

export const CLUSTER_KILLS: RestartScenario = {
  name: 'cluster-kills',
  fault: 'kill -9 of nodes, of the database or of all while names and tokens are made, 200 rounds',
  expects: 'nothing acknowledged is lost, no epoch of a name has two holders',
  missing: postgresMissing,
  stage: {
    servers: 3,
    agents: 2,
    isCluster: true,
    hasTokens: true,
    // a name of a node that was killed is free when its lease is over
    serverArgs: ['--cluster.lease=3s', '--names.max-per-identity=100000'],
  },
  load: { perSecond: 20, keptAlive: 5 },
  times: 200,
  isLong: true,
  maxFailedShare: 1, // visitors are those of a node that is killed as well
  async begin(scene) {
    const { stage, random, figures, check } = scene
    const writers = await new ClusterWriters(stage, random).start()
    running.set(scene, writers)
    return async () => {
      for (const problem of await writers.stop()) check(false, problem)
      for (const [what, count] of Object.entries(writers.acknowledged)) figures[what] = count
      figures['holders of names'] = await writers.holders()
    }
  },
  async act(scene) {
    const { stage, random, figures } = scene
    await delay(random.between(0, QUIET_MS))
    const victim = random.pick(VICTIMS)
    const isAll = victim === 'all'
    const isDatabase = isAll || victim.endsWith('database')
    const one = random.between(0, stage.servers.length - 1)
    const nodes = stage.servers.filter((_, at) => isAll || (at === one && victim !== 'database'))
    await Promise.all([
      ...nodes.map(async (node) => await node.kill()),
      ...(isDatabase ? [stage.database.kill()] : []),
    ])
    figures['kills of a node'] = (figures['kills of a node'] ?? 0) + nodes.length
    figures['kills of the database'] = (figures['kills of the database'] ?? 0) + Number(isDatabase)
    await delay(random.between(0, AWAY_MS))
    await Promise.all([
      ...nodes.map(async (node) => await node.start()),
      ...(isDatabase ? [stage.database.run()] : []),
    ])
    await running.get(scene)?.progress()
  },
}
