import { preset } from '@proj/vitest-config'

// A password check is made to be slow, and some tests make several of them.
export default preset({ testTimeout: 30_000 })
