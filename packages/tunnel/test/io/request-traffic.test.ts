import { expect, test } from 'vitest'

import { RequestTraffic } from '../../src/io/request-traffic.ts'

/** How many answers are counted of what is sent and comes, in turn. */
function answersOf(...steps: readonly (number | string)[]): number {
  const traffic = new RequestTraffic()
  let sent = 0
  for (const step of steps) {
    if (typeof step === 'number') sent += step
    else traffic.received(Buffer.from(step), sent)
  }
  return traffic.answers
}

const OK = 'HTTP/1.1 200 OK\r\n\r\n'

test.each([
  ['nothing yet', [10], 0],
  ['one', [10, OK], 1],
  ['one with a body in pieces', [10, OK, 'HTTP', 'body'], 1],
  ['two, one after the other', [10, OK, 10, OK], 2],
  ['an upload that is answered in the middle', [10, OK, 10, 'more of it'], 1],
  ['a body that is waited for', [10, 'HTTP/1.1 100 Continue\r\n\r\n', 10, OK], 1],
  ['hints ahead of the answer', [10, 'HTTP/1.1 103 Early Hints\r\n\r\n', OK], 1],
  ['a WebSocket, whatever it carries', [10, 'HTTP/1.1 101 Switching\r\n\r\n', 10, OK, 10, OK], 1],
] as const)('%s', (_, steps, count) => {
  expect(answersOf(...steps)).toBe(count)
})
