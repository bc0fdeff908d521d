import { preset } from '@proj/vitest-config'

// each test starts a service of its own
export default preset({ testTimeout: 120_000 })
