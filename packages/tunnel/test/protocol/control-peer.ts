// The control stream of a session, written and read by the test.
import type { MuxStream } from '@proj/mux'
import { until } from '@proj/testkit/until'
import { expect } from 'vitest'

import { ControlMessageReader, encodeControlMessage } from '../../src/protocol/control-codec.ts'
import type { ControlMessage } from '../../src/protocol/control-message.ts'
import { encodeStreamRecord } from '../../src/protocol/stream-record.ts'

/** The record a control stream begins with. */
export const CONTROL: Buffer = encodeStreamRecord({ kind: 'control', endpoint: '' })

/** The control stream an agent has opened, once its record has arrived. */
export async function controlOf(stream: MuxStream): Promise<Control> {
  const record = await until(() => stream.read(CONTROL.length) as Buffer | null)
  expect(record).toEqual(CONTROL)
  return new Control(stream)
}

/** A control stream under the test's hand. */
export class Control {
  readonly stream: MuxStream
  readonly received: ControlMessage[] = []

  constructor(stream: MuxStream) {
    this.stream = stream
    const reader = new ControlMessageReader()
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => this.received.push(...reader.push(chunk)))
  }

  send(message: ControlMessage | Buffer): void {
    this.stream.write(Buffer.isBuffer(message) ? message : encodeControlMessage(message))
  }

  async receive<T extends ControlMessage['type']>(
    type: T,
  ): Promise<Extract<ControlMessage, { type: T }>> {
    return (await until(() => {
      const at = this.received.findIndex((message) => message.type === type)
      return at < 0 ? undefined : this.received.splice(at, 1)[0]
    })) as Extract<ControlMessage, { type: T }>
  }
}
