import { expect, test } from 'vitest'

import {
  childContext,
  formatTraceparent,
  parseTraceparent,
} from '../../src/tracing/trace-context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

test.each([
  [`00-${TRACE}-${SPAN}-01`, 1],
  [`00-${TRACE}-${SPAN}-00`, 0],
  [`00-${TRACE}-${SPAN}-03`, 3],
  [`cc-${TRACE}-${SPAN}-01`, 1],
  [`cc-${TRACE}-${SPAN}-01-what-is-later`, 1],
])('%s is valid', (value, flags) => {
  expect(parseTraceparent(value)).toEqual({ traceId: TRACE, spanId: SPAN, flags })
})

test.each([
  '',
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${TRACE}-${SPAN}-01.`,
  `cc-${TRACE}-${SPAN}-01.`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE}-${SPAN}-1`,
  `00-${TRACE.slice(1)}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}`,
])('%s is not', (value) => {
  expect(parseTraceparent(value)).toBeUndefined()
})

test('a child has the trace of its parent and an id of its own', () => {
  const parent = { traceId: TRACE, spanId: SPAN, flags: 0xff }
  const child = childContext(parent, false)
  expect(child).toMatchObject({ traceId: TRACE, flags: 2 })
  expect(child.spanId).not.toBe(SPAN)
  expect(parseTraceparent(formatTraceparent(child))).toEqual(child)
  const first = childContext(undefined, true)
  expect(first.flags).toBe(1)
  expect(first.traceId).not.toBe(childContext(undefined, true).traceId)
  expect(parseTraceparent(formatTraceparent(first))).toEqual(first)
})
