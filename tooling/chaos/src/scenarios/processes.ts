// Programs that die or stop for a while.
import { setTimeout as delay } from 'node:timers/promises'

import type { Program } from '../program.ts'
import type { Scenario, Scene } from '../scenario.ts'

/** Kills one of these and starts it again; recovery counts from the moment it is ready. */
async function killAndStart(scene: Scene, programs: readonly Program[]): Promise<void> {
  do {
    await scene.pause(300, 1500)
    for (const program of programs) await program.kill()
    await scene.pause(0, 1500)
    for (const program of programs) await program.start()
    await scene.recovered(performance.now())
  } while (!scene.isOver)
}

export const KILL_AGENT: Scenario = {
  name: 'kill-agent',
  fault: 'kill -9 of one of two agents, or of both, and a new start',
  expects: 'only what was in flight is lost; visitors wait while no agent is there',
  stage: { agents: 2 },
  minOkShare: 0.8,
  // the kernel ends its connections to the service
  isExcused: ({ method }, seenBy) => method === 'TCP' && seenBy === 'service',
  async act(scene) {
    const [one, two] = scene.stage.agents
    if (one === undefined || two === undefined) throw new Error('no two agents')
    do {
      const chosen = scene.random.pick([[one], [two], [one, two]])
      await scene.pause(300, 1500)
      for (const agent of chosen) await agent.kill()
      await scene.pause(0, 1500)
      for (const agent of chosen) await agent.start()
      await scene.recovered(performance.now())
    } while (!scene.isOver)
  },
}

export const KILL_SERVER: Scenario = {
  name: 'kill-server',
  fault: 'kill -9 of the server, and a new start',
  expects: 'agents and access are back within seconds, by themselves',
  minOkShare: 0.1, // connections are refused at once while it is away
  isExcused: ({ framing }, seenBy) => seenBy === 'client' && framing === 'close',
  act: async (scene) => await killAndStart(scene, [scene.stage.server]),
}

export const KILL_SERVICE: Scenario = {
  name: 'kill-service',
  fault: 'kill -9 of the service, and a new start',
  expects: 'errors while it is away, nothing executed twice, nothing cut looks whole',
  minOkShare: 0.1,
  isExcused: ({ method, framing }, seenBy) =>
    seenBy === 'client' && (method === 'TCP' || framing === 'close'),
  act: async (scene) => await killAndStart(scene, [scene.stage.service]),
}

export const KILL_ACCESS: Scenario = {
  name: 'kill-access',
  fault: 'kill -9 of the consumer of a TCP endpoint, and a new start',
  expects: 'its connections end, HTTP does not notice',
  minOkShare: 0.5,
  isExcused: ({ method }, seenBy) => method === 'TCP' && seenBy === 'client',
  act: async (scene) => await killAndStart(scene, [scene.stage.access]),
}

export const FREEZE_AGENT: Scenario = {
  name: 'freeze-agent',
  fault: 'SIGSTOP of one of two agents for 20 s, then SIGCONT',
  expects: 'the other agent takes over; the frozen one is left out within 15 s',
  stage: { agents: 2 },
  minOkShare: 0.8,
  recoveryMs: 40_000,
  async act(scene) {
    do {
      await scene.pause(300, 1000)
      const agent = scene.random.pick(['first', 'last']) === 'first' ? 0 : 1
      const chosen = scene.stage.agents[agent]
      const since = performance.now()
      chosen?.freeze()
      const thaw = delay(20_000).then(() => chosen?.thaw())
      await scene.recovered(since)
      await thaw
      await scene.recovered(performance.now())
    } while (!scene.isOver)
  },
}

export const FREEZE_SERVER: Scenario = {
  name: 'freeze-server',
  fault: 'SIGSTOP of the server for 2 to 6 s, then SIGCONT',
  expects: 'everything waits and goes on; nothing is lost',
  minOkShare: 0.97,
  async act(scene) {
    do {
      await scene.pause(300, 1000)
      scene.stage.server.freeze()
      await scene.pause(2000, 6000)
      scene.stage.server.thaw()
      await scene.recovered(performance.now())
    } while (!scene.isOver)
  },
}
