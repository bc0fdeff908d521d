import { preset } from '@proj/vitest-config'

export default preset({
  include: ['test/e2e/**/*.test.ts'],
  exclude: [],
  testTimeout: 120_000,
  report: 'e2e',
})
