/** Placeholder until the first export lands. */
export const name = '@proj/testkit'
