// What a tap sees of a splice, on real sockets.
import { once } from 'node:events'

import { type Channel, Session } from '@proj/mux'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { SocketSplice } from '../../src/io/socket-splice.ts'
import type { SpliceTap } from '../../src/io/splice-tap.ts'
import { RESET_REASONS } from '../../src/protocol/reset-reason.ts'
import { tcpSockets } from '../peers.ts'

class Notes implements SpliceTap {
  readonly seen: string[] = []
  onConnected(): void {
    this.seen.push('connected')
  }
  toSocket(chunk: Buffer): void {
    this.seen.push(`> ${chunk.toString()}`)
  }
  fromSocket(chunk: Buffer): void {
    this.seen.push(`< ${chunk.toString()}`)
  }
  onVisitorEnd(): void {
    this.seen.push('visitor ended')
  }
  onServiceEnd(): void {
    this.seen.push('service ended')
  }
  onClose(reason: number | undefined): void {
    this.seen.push(`closed ${reason}`)
  }
}

async function tapped(): Promise<{ tap: Notes; channel: Channel; splice: SocketSplice }> {
  const { near, far } = await tcpSockets()
  const tap = new Notes()
  let splice: SocketSplice | undefined
  const server = new Session(far, {
    role: 'server',
    onChannel: (inbound) => {
      splice = new SocketSplice(inbound, { resetReason: () => 'serviceReset', tap })
      inbound.attach(splice)
    },
  })
  const client = new Session(near, { role: 'client' })
  onTestFinished(() => {
    client.destroy()
    server.destroy()
  })
  const channel = client.openChannel()
  return { tap, channel, splice: await until(() => splice) }
}

test('a tap sees each byte once, also what waits for the service, and both ends', async () => {
  const { tap, channel, splice } = await tapped()
  const { near, far } = await tcpSockets()
  channel.write(Buffer.from('early'))
  await until(() => tap.seen.length === 1)
  splice.connect(near)
  await once(far, 'data')
  far.write('answer')
  await until(() => tap.seen.length === 3)
  channel.end()
  await once(far, 'end')
  far.end()
  await until(() => tap.seen.length === 6)
  expect(tap.seen).toEqual([
    '> early',
    'connected',
    '< answer',
    'visitor ended',
    'service ended',
    'closed undefined',
  ])
})

test('a tap is told the reason of a reset, of either side', async () => {
  const first = await tapped()
  first.channel.reset(RESET_REASONS.consumerGone)
  await until(() => first.tap.seen.length === 1)
  expect(first.tap.seen).toEqual([`closed ${RESET_REASONS.consumerGone}`])
  const second = await tapped()
  second.splice.abort('draining')
  await until(() => second.tap.seen.length === 1)
  expect(second.tap.seen).toEqual([`closed ${RESET_REASONS.draining}`])
})
