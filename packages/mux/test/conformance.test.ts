import { memoryPair, tcpPair, tlsPair } from '@proj/testkit/duplex-pairs'
import { type MuxSuiteSetup, muxSuite } from '@proj/testkit/mux-suite'
import { Session } from '../src/index.ts'

const createSession: MuxSuiteSetup['createSession'] = (transport, options) =>
  new Session(transport, options)

muxSuite('over a pair in memory', { connect: memoryPair, createSession })
muxSuite('over TCP', { connect: tcpPair, createSession })
muxSuite('over TLS', { connect: tlsPair, createSession })
