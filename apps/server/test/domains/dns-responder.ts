// A DNS server on loopback that has TXT records, for the tests of domains.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** What it answers; RFC 1035 section 4.1. */
export interface DnsResponder {
  /** `127.0.0.1:5353` */
  readonly address: string
  /** TXT records by name. Other names do not exist. */
  readonly records: Map<string, readonly string[]>
  /** Names that were asked for. */
  readonly asked: string[]
  /** Whether it fails (SERVFAIL) instead. */
  isBroken: boolean
}

const SERVFAIL = 2
const NXDOMAIN = 3

/** Starts one, until the test ends. */
export async function dnsResponder(): Promise<DnsResponder> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => new Promise<void>((resolve) => socket.close(() => resolve())))
  const responder: DnsResponder = {
    address: `127.0.0.1:${socket.address().port}`,
    records: new Map(),
    asked: [],
    isBroken: false,
  }
  socket.on('message', (query, { address, port }) => {
    const labels: string[] = []
    let at = 12
    while (query.readUInt8(at) > 0) {
      const length = query.readUInt8(at)
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += length + 1
    }
    const question = query.subarray(12, at + 5)
    const name = labels.join('.').toLowerCase()
    responder.asked.push(name)
    const texts = responder.isBroken ? [] : (responder.records.get(name) ?? [])
    const code = responder.isBroken ? SERVFAIL : texts.length === 0 ? NXDOMAIN : 0
    const head = Buffer.alloc(12)
    query.copy(head, 0, 0, 2)
    head.writeUInt16BE(0x8180 | code, 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(texts.length, 6)
    const answers = texts.map((text) => {
      const data = Buffer.from(text)
      const answer = Buffer.alloc(13)
      answer.writeUInt16BE(0xc00c, 0) // the name of the question
      answer.writeUInt16BE(16, 2) // TXT
      answer.writeUInt16BE(1, 4)
      answer.writeUInt32BE(60, 6)
      answer.writeUInt16BE(data.length + 1, 10)
      answer.writeUInt8(data.length, 12)
      return Buffer.concat([answer, data])
    })
    socket.send(Buffer.concat([head, question, ...answers]), port, address)
  })
  return responder
}
