// docs/protocol.md says what is on the wire in tables; here they are compared with the code.
import { readFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import { MAX_UNREAD_BYTES } from '../../src/protocol/control-channel.ts'
import {
  ControlMessageReader,
  encodeControlMessage,
  MAX_CONTROL_BYTES,
} from '../../src/protocol/control-codec.ts'
import { type ControlMessage, REJECTION_CODES } from '../../src/protocol/control-message.ts'
import { MAX_ENDPOINT_BYTES } from '../../src/protocol/endpoint.ts'
import { MAX_BACKOFF_MS } from '../../src/client/keep-connected.ts'
import { TUNNEL_LIMITS } from '../../src/limits.ts'
import { PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../src/protocol/protocol-version.ts'
import {
  neverReachedService,
  RESET_REASONS,
  type ResetReason,
  resetReasonText,
} from '../../src/protocol/reset-reason.ts'
import { CONNECT_ROUTE, SESSION_ENDPOINT, UPSTREAM_ROUTE } from '../../src/protocol/routes.ts'
import { MAX_RECORD_BYTES, RECORD_FIELDS, RECORD_KINDS } from '../../src/protocol/stream-record.ts'
import { MAX_INBOUND_STREAMS } from '../../src/server/upstream-session.ts'
import { MAX_VISITOR_RULES_BYTES } from '../../src/protocol/visitor-rules.ts'
import { tablesBelow } from './markdown.ts'

const PAGE = readFileSync(new URL('../../../../docs/protocol.md', import.meta.url), 'utf8')

/** Cells without their backticks. */
function table(heading: string, index = 0): string[][] {
  const rows = tablesBelow(PAGE, heading)[index] ?? []
  return rows.map((row) => row.map((cell) => cell.replaceAll('`', '')))
}

const SAMPLES: Record<ControlMessage['type'], ControlMessage> = {
  hello: { type: 'hello', software: 's', peer: 'p' },
  register: {
    type: 'register',
    id: 1,
    endpoint: 'e',
    kind: 'tcp',
    visitors: { allow: [] },
    port: 0,
    exclusive: true,
    reuse: 'never',
    strictness: 'strict',
    weight: 2,
    limits: { concurrent: 1 },
  },
  registered: {
    type: 'registered',
    id: 1,
    urls: [],
    visitors: true,
    port: 9901,
    exclusive: true,
    limits: ['rate'],
    others: 1,
    otherHosts: 1,
  },
  shared: { type: 'shared', endpoint: 'e', others: 1, otherHosts: 1 },
  refused: {
    type: 'refused',
    id: 1,
    code: 'c',
    message: 'm',
    holder: 'h',
    since: 's',
    retryAfterMs: 1,
  },
  malformed: { type: 'malformed', endpoint: 'e', requestId: 'r', code: 'c', message: 'm' },
  health: { type: 'health', endpoint: 'e', isUp: false },
  release: { type: 'release', id: 1, endpoint: 'e' },
  released: { type: 'released', id: 1 },
  drain: { type: 'drain', retryAfterMs: 1, longLivedMs: 1 },
  ended: { type: 'ended', reason: 'r' },
  query: { type: 'query', id: 1, endpoint: 'e' },
  endpoint: {
    type: 'endpoint',
    id: 1,
    endpoint: 'e',
    upstreams: 1,
    agents: 1,
    outcome: 'ok',
    ageMs: 1,
    permitted: false,
  },
}

describe('docs/protocol.md', () => {
  test('names the routes, the header and the version', () => {
    expect(table('Handshake').map(([route]) => route)).toEqual([
      `GET ${UPSTREAM_ROUTE}{endpoint}`,
      `GET ${CONNECT_ROUTE}{endpoint}`,
    ])
    expect(table('Handshake', 1).map(([header]) => header)).toContain(PROTOCOL_HEADER)
    expect(PAGE).toContain(`\`${PROTOCOL_HEADER}: ${PROTOCOL_VERSION}\``)
    expect(PAGE).toContain(`\`${CONNECT_ROUTE}${SESSION_ENDPOINT}\``)
  })

  test('lists every field of the stream record by its number', () => {
    const rows = Object.entries(RECORD_FIELDS).map(([name, type]) => [String(type), name])
    expect(table('Stream record').map((row) => row.slice(0, 2))).toEqual(rows)
    const kinds = RECORD_KINDS.map((kind, number) => `${number} ${kind}`).join(', ')
    expect(table('Stream record')[0]?.[2]).toBe(`1 byte: ${kinds}`)
  })

  test('lists every control message with all its fields', () => {
    const rows = Object.entries(SAMPLES).map(([type, message]) => [
      type,
      Object.keys(message)
        .filter((name) => name !== 'type')
        .join(', '),
    ])
    expect(table('Control stream').map(([type, , fields]) => [type, fields])).toEqual(rows)
    for (const message of Object.values(SAMPLES)) {
      expect(new ControlMessageReader().push(encodeControlMessage(message))).toEqual([message])
    }
  })

  test('lists every refusal of a registration', () => {
    expect(table('Control stream', 1).map(([code]) => code)).toEqual([...REJECTION_CODES])
  })

  test('lists every reset reason with its number and text', () => {
    const names = Object.keys(RESET_REASONS) as ResetReason[]
    const rows = names.map((name) => [String(RESET_REASONS[name]), name, resetReasonText(name)])
    expect(table('Reset reasons')).toEqual(rows)
    const numbers = names.filter(neverReachedService).map((name) => RESET_REASONS[name])
    const sentence = /After reasons ([\d, and]+) no byte can have reached the service/.exec(PAGE)
    expect(sentence?.[1]?.match(/\d+/g)?.map(Number)).toEqual(numbers)
  })

  test('lists every limit with the value of the code', () => {
    expect(table('Limits').map(([limit, value]) => [limit, Number(value)])).toEqual([
      ['stream record, bytes', MAX_RECORD_BYTES],
      ['control message, bytes', MAX_CONTROL_BYTES],
      ['control messages unread, bytes', MAX_UNREAD_BYTES],
      ['rules for visitors, bytes of JSON', MAX_VISITOR_RULES_BYTES],
      ['greeting, ms', TUNNEL_LIMITS.helloTimeoutMs.default],
      ['endpoint name, bytes', MAX_ENDPOINT_BYTES],
      ['endpoints of a session', TUNNEL_LIMITS.maxEndpointsPerSession.default],
      ['sessions of an acceptor', TUNNEL_LIMITS.maxSessions.default],
      ['silence after a ping, ms', TUNNEL_LIMITS.probeTimeoutMs.default],
      ['delay before asking again, ms', TUNNEL_LIMITS.nameRetryAfterMs.default],
      ['streams an agent may open', MAX_INBOUND_STREAMS],
      ['wait between attempts, ms', MAX_BACKOFF_MS],
    ])
  })
})
