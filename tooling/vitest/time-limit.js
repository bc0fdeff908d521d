// Runs in every test file: notes on a test that it reached its time limit, for the report. The error
// vitest makes of that has no code, but it aborts the signal of the test, and nothing else does while
// a run is not cancelled.
import { beforeEach } from 'vitest'

beforeEach(({ signal, task }) => {
  signal.addEventListener('abort', () => {
    task.meta.outOfTimeMs = task.timeout
  })
})
