import { preset } from '@proj/vitest-config'

export default preset({
  include: ['test/e2e/**/*.test.ts'],
  exclude: [],
  testTimeout: 180_000,
  hasFreshConnections: true,
  maxWorkers: 3, // they wait for programs more than they compute
  first: ['/proxies.test.ts', '/networks.test.ts'],
  report: 'e2e',
})
