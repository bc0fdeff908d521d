import type { Upstream } from '../../src/server/upstream.ts'

/** A session that carries nothing but what the registry looks at. */
export class FakeUpstream implements Upstream {
  readonly id: string
  peer: string
  readonly agentId: string
  readonly protocol = 'adit'
  readonly identity = 'anonymous'
  readonly tenant = ''
  readonly remoteAddress = undefined
  readonly connectedAt = 0
  readonly leave = new AbortController()
  openStreams = 0
  carriesBulk = false
  readonly maxStreams = 4096
  readonly endpointCount = 1
  suspect = false

  constructor(peer: string, id = peer) {
    this.peer = peer
    this.agentId = peer
    this.id = id
  }

  get leaving(): AbortSignal {
    return this.leave.signal
  }

  streamsOf(): number {
    return 0
  }

  openStream(): never {
    throw new Error('not in these tests')
  }

  readonly openable = 256

  whenRoom(): never {
    throw new Error('not in these tests')
  }

  doubt(): never {
    throw new Error('not in these tests')
  }

  probe(): never {
    throw new Error('not in these tests')
  }

  end(): never {
    throw new Error('not in these tests')
  }
}
