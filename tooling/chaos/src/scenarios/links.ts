// Links between agent and server that are silent, gone or slow.
import { setTimeout as delay } from 'node:timers/promises'

import { linkMissing } from '../link.ts'
import type { Scenario } from '../scenario.ts'
import type { StageOptions } from '../stage.ts'

const SLOW_RATE = '2mbit'
const SLOW_BYTES_PER_SECOND = 250_000

export const FREEZE_LINK: Scenario = {
  name: 'freeze-link',
  fault: 'one of the two connections of an agent passes nothing more, and is closed after 20 s',
  expects: 'the other one carries everything; the silent one is left out within 15 s',
  stage: { relay: true },
  minOkShare: 0.8,
  recoveryMs: 40_000,
  async act(scene) {
    const { relay } = scene.stage
    do {
      await scene.pause(300, 1000)
      const since = performance.now()
      relay.freezeOne()
      const drop = delay(20_000).then(() => relay.dropFrozen())
      await scene.recovered(since)
      await drop
      await scene.recovered(performance.now())
    } while (!scene.isOver)
  },
}

export const CUT: Scenario = {
  name: 'cut',
  fault: 'the network of the agent is away for 2 to 25 s: packets dropped (nft), or its link down',
  expects: 'nothing cut looks whole; back within seconds after the network',
  missing: () => linkMissing('drop'),
  stage: { link: true },
  minOkShare: 0.1,
  recoveryMs: 45_000,
  async act(scene) {
    const { link } = scene.stage
    let drops = scene.random.pick([true, false])
    do {
      await scene.pause(300, 1000)
      if (drops) link.drop()
      else link.set('down')
      await scene.pause(2000, 25_000)
      if (drops) link.pass()
      else link.set('up')
      drops = !drops
      await scene.recovered(performance.now())
    } while (!scene.isOver)
  },
}

export const SLOW_LINE: Scenario = {
  name: 'slow-line',
  fault: 'a line of 2 Mbit/s (tbf, or a relay without the rights), bulk beside small requests',
  expects: 'slow, but nothing is lost, and no healthy connection is given up',
  stage: (): StageOptions =>
    linkMissing('slow') === undefined ? { link: true } : { relay: SLOW_BYTES_PER_SECOND },
  load: { visitors: 6, pauseMs: 200, largeShare: 0.15, maxBytes: 128 * 1024 },
  minOkShare: 0.98,
  async act(scene) {
    if (scene.stage.hasLink) scene.stage.link.slow(SLOW_RATE)
    do {
      const since = performance.now()
      const bulk = await scene.load.one({ method: 'POST', up: 1024 * 1024, down: 1024 })
      scene.check(bulk.verdict === 'ok', `an upload of 1 MiB: ${bulk.verdict} ${bulk.detail}`)
      scene.figures['upload of 1 MiB, s'] = (performance.now() - since) / 1000
    } while (!scene.isOver)
    const lost = /"event":"(?:link_lost|reconnect)/.exec(scene.stage.agents[0]?.output ?? '')
    scene.check(lost === null, 'the agent gave a connection up that was only slow')
  },
}
