import { expect, test } from 'vitest'

import { visitorAddresses } from '../../src/status/visitor-addresses.ts'

test.for([
  ['web', 'http', ['http://web.localhost:8000'], 'http://web.localhost:8000'],
  ['web', 'http', [], 'adit access web'],
  ['Upper', 'http', [], 'only by header x-piko-endpoint: Upper'],
  ['dot.ted', 'http', [], 'only by header x-piko-endpoint: dot.ted'],
  ['*', 'http', [], 'only by header x-piko-endpoint: *'],
  ['Upper', 'tcp', [], 'adit access Upper'],
  ['db', 'tcp', ['tcp://h:5432', 'http://db.localhost'], 'tcp://h:5432'],
] as const)('%s, %s, with the URLs %j: %s', ([endpoint, kind, urls, shown]) => {
  expect(visitorAddresses({ endpoint, kind, urls })).toEqual([shown])
})
