// How long waits of tests last that have no limit of their own: on a slow machine that costs time, never a failure.

/** Two thirds of the time that a test may take, ms, as the vitest preset sets it; 20000 elsewhere. */
export const WAIT_MS: number = Number(process.env['TESTKIT_WAIT_MS'] ?? 20_000)
