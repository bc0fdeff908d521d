// The one vitest preset. Tests run from the sources of every package: the `@proj/source`
// condition must be set for both the server and the ssr resolver, the latter is what node tests use.
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { longestFirst } from './longest-first.js'
import { Report } from './report.js'

const TIME_LIMIT = fileURLToPath(new URL('time-limit.js', import.meta.url))
const FRESH = fileURLToPath(new URL('fresh-connections.js', import.meta.url))
// Programs that tests start begin a fifth earlier with it; Node 20 does not know it.
const COMPILE_CACHE = fileURLToPath(new URL('node_modules/.compile-cache', import.meta.url))
const POISON = fileURLToPath(new URL('../../packages/mux/test/poison.ts', import.meta.url))

/** @type {import('./index.d.ts').preset} */
export function preset(overrides = {}) {
  const {
    include = ['test/**/*.test.ts'],
    exclude = ['test/e2e/**'],
    testTimeout = 60_000,
    maxWorkers = 2,
    report = 'unit',
    poisonsFreeMemory = false,
    hasFreshConnections = false,
    first = [],
    sharesModules = false,
  } = overrides
  // Below the limit of the test, so that the error of the wait is seen, which names what did not come.
  const waitMs = (testTimeout * 2) / 3
  return defineConfig({
    resolve: { conditions: ['@proj/source'] },
    ssr: { resolve: { conditions: ['@proj/source'] } },
    test: {
      include,
      exclude: ['**/node_modules/**', ...exclude],
      testTimeout,
      hookTimeout: Math.max(120_000, testTimeout),
      // A second, the default of vitest, is short on a busy machine.
      expect: { poll: { timeout: waitMs } },
      env: { TESTKIT_WAIT_MS: String(waitMs), NODE_COMPILE_CACHE: COMPILE_CACHE },
      setupFiles: [
        TIME_LIMIT,
        ...(poisonsFreeMemory ? [POISON] : []),
        ...(hasFreshConnections ? [FRESH] : []),
      ],
      maxWorkers,
      sequence: { sequencer: longestFirst(first) },
      passWithNoTests: true, // `pnpm test` knows which packages must have run some
      retry: 0,
      restoreMocks: true,
      unstubEnvs: true,
      pool: 'forks',
      isolate: !sharesModules,
      reporters: ['default', new Report(report)],
    },
  })
}
