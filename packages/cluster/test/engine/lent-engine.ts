// An engine that is lent to another process, with both ends of the channel in this one.
import { channelPair } from '@proj/testkit/channel-pair'

import { ChannelEngine } from '../../src/engine/channel-engine.ts'
import type { EngineChannel } from '../../src/engine/engine-channel.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { EngineHost } from '../../src/engine/engine-host.ts'

/** An engine that is lent over a channel, with both ends. */
export function lend(engine: Engine, timeoutMs = 60_000) {
  const [child, parent] = channelPair()
  const host = new EngineHost(engine, parent satisfies EngineChannel)
  return { engine: new ChannelEngine({ channel: child, timeoutMs }), host, child, parent }
}
