// A DNS server on loopback that has TXT records and addresses, for the tests of domains.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** What it answers; RFC 1035 section 4.1. */
export interface DnsResponder {
  /** `127.0.0.1:5353` */
  readonly address: string
  /** TXT records by name. Other names do not exist. */
  readonly records: Map<string, readonly string[]>
  /** Addresses by name: groups of 16 bits for IPv6. */
  readonly addresses: Map<string, readonly (string | readonly number[])[]>
  /** Names that were asked for, for their TXT records. */
  readonly asked: string[]
  /** Whether it fails (SERVFAIL) instead. */
  isBroken: boolean
}

const A = 1
const TXT = 16
const AAAA = 28

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
    addresses: new Map(),
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
    const type = query.readUInt16BE(at + 1)
    if (type === TXT) responder.asked.push(name)
    const { records, addresses, isBroken } = responder
    const found = isBroken ? [] : dataOf(type, records.get(name), addresses.get(name))
    const code = isBroken ? SERVFAIL : found.length === 0 ? NXDOMAIN : 0
    const head = Buffer.alloc(12)
    query.copy(head, 0, 0, 2)
    head.writeUInt16BE(0x8180 | code, 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(found.length, 6)
    const answers = found.map((data) => {
      const answer = Buffer.alloc(12)
      answer.writeUInt16BE(0xc00c, 0) // the name of the question
      answer.writeUInt16BE(type, 2)
      answer.writeUInt16BE(1, 4)
      answer.writeUInt32BE(60, 6)
      answer.writeUInt16BE(data.length, 10)
      return Buffer.concat([answer, data])
    })
    socket.send(Buffer.concat([head, question, ...answers]), port, address)
  })
  return responder
}

/** The data of the records of a type. */
function dataOf(
  type: number,
  texts: readonly string[] = [],
  addresses: readonly (string | readonly number[])[] = [],
): Buffer[] {
  if (type === TXT) return texts.map((text) => Buffer.from([text.length, ...Buffer.from(text)]))
  return addresses.flatMap((address) => {
    if (typeof address === 'string') {
      return type === A ? [Buffer.from(address.split('.').map(Number))] : []
    }
    return type === AAAA ? [Buffer.from(address.flatMap((group) => [group >> 8, group & 255]))] : []
  })
}
