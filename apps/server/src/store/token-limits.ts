/** Tokens kept at once, revoked ones included, so that the table and the list of them stay small. */
export const MAX_TOKENS = 10_000

/** Uses of one token are noted this far apart, ms: a table of tokens is no request log. */
export const USE_RESOLUTION_MS = 60_000
