import { describe } from 'vitest'

import { MemoryDomainStore } from '../../src/store/domain-store.ts'
import { SqliteDomainStore } from '../../src/store/sqlite-domain-store.ts'
import { domainSuite } from './domain-suite.ts'
import { freshDatabase } from './fixtures.ts'

describe('domains in memory', () => {
  domainSuite(async (limits) => new MemoryDomainStore(limits))
})
describe('domains in a file', () => {
  domainSuite(async (limits) => new SqliteDomainStore(freshDatabase(), limits))
})
