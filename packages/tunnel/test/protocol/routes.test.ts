import { expect, test } from 'vitest'

import { CONNECT_ROUTE, routeEndpoint, routeTo, UPSTREAM_ROUTE } from '../../src/protocol/routes.ts'

test.each(['web', 'my web', 'a?b#c', 'ü', '..', '%'])(
  'the route to %j leads back to it',
  (name) => {
    for (const route of [UPSTREAM_ROUTE, CONNECT_ROUTE]) {
      expect(routeEndpoint(route, routeTo(route, name))).toBe(name)
    }
  },
)

test.each([
  ['another path', '/piko/v2/upstream/web'],
  ['the route alone', '/piko/v1/upstream/'],
  ['a trailing slash', '/piko/v1/upstream/web/'],
  ['two segments', '/piko/v1/upstream/a/b'],
  ['an escaped slash', '/piko/v1/upstream/a%2Fb'],
  ['an escaped NUL', '/piko/v1/upstream/web%00'],
  ['an escaped end of line', '/piko/v1/upstream/web%0ax'],
  ['an escaped ESC', '/piko/v1/upstream/%1b]0;x'],
  ['an escaped DEL', '/piko/v1/upstream/%7f'],
  ['an escaped control of C1', '/piko/v1/upstream/%c2%9b31m'],
  ['half an escape', '/piko/v1/upstream/a%2'],
  ['an escape that is no UTF-8', '/piko/v1/upstream/%ff'],
])('%s names no endpoint', (_, path) => {
  expect(routeEndpoint(UPSTREAM_ROUTE, path)).toBeUndefined()
})
