import { preset } from '@proj/vitest-config'

export default preset({
  include: ['test/e2e/**/*.test.ts'],
  exclude: [],
  testTimeout: 180_000,
  hasFreshConnections: true,
  report: 'e2e',
})
