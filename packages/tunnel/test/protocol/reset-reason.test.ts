import { MuxError } from '@proj/mux'
import { expect, test } from 'vitest'

import {
  neverReachedService,
  RESET_REASONS,
  resetReasonCode,
  resetReasonName,
  resetReasonOf,
  resetReasonText,
  type ResetReason,
} from '../../src/protocol/reset-reason.ts'

const names = Object.keys(RESET_REASONS) as ResetReason[]

test('every reason has a number of its own, which reads back as its name', () => {
  const values = names.map((name) => RESET_REASONS[name])
  expect(new Set(values).size).toBe(names.length)
  expect(values.map(resetReasonName)).toEqual(names)
})

test('every reason has a code of its own', () => {
  expect(new Set(names.map(resetReasonCode)).size).toBe(names.length)
  expect(resetReasonCode('draining')).toBe('draining')
  expect(resetReasonCode('serviceRefused')).toBe('service_refused')
})

test('every reason has one sentence for people', () => {
  expect(new Set(names.map(resetReasonText)).size).toBe(names.length)
  const texts = names.map(resetReasonText)
  expect(texts.filter((text) => !/^the |^a limit|^no agent|^nothing/.test(text))).toEqual([])
})

test.each([18, 255, 0xffff_ffff])('%d, of a later version, reads as unspecified', (value) => {
  expect(resetReasonName(value)).toBe('unspecified')
})

test('a request may go elsewhere only where no byte can have reached the service', () => {
  expect(names.filter(neverReachedService)).toEqual([
    'serviceRefused',
    'serviceTimeout',
    'serviceUnreachable',
    'endpointUnknown',
    'draining',
    'kindMismatch',
    'serviceClosed',
    'notHere',
    'serviceDown',
  ])
})

test('a reset of either side has its reason; anything else is the loss of the session', () => {
  const reset = new MuxError('MUX_STREAM_RESET', 'x', { reason: RESET_REASONS.serviceRefused })
  const aborted = new MuxError('MUX_STREAM_ABORTED', 'x', { reason: 0 })
  const ended = new MuxError('MUX_SESSION_CLOSED', 'x')
  expect(resetReasonOf(reset)).toBe(RESET_REASONS.serviceRefused)
  expect(resetReasonOf(aborted)).toBe(RESET_REASONS.unspecified)
  expect(resetReasonOf(ended)).toBe(RESET_REASONS.upstreamLost)
  expect(resetReasonOf(ended, RESET_REASONS.consumerGone)).toBe(RESET_REASONS.consumerGone)
})
