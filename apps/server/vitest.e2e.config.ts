import { preset } from '@proj/vitest-config'

export default preset({
  include: ['test/e2e/**/*.test.ts'],
  exclude: [],
  testTimeout: 180_000,
  hasFreshConnections: true,
  maxWorkers: 3, // they wait for programs more than they compute
  first: [
    '/slow-readers.test.ts',
    '/clusters.test.ts',
    '/kills.test.ts',
    '/load-balancers.test.ts',
    '/long-lived.test.ts',
    '/bulk.test.ts',
    '/upgrades.test.ts',
    '/drains.test.ts',
  ],
  report: 'e2e',
})
