/**
 * What a program of ours is started with, so that it does the same on every machine: without the
 * variables of the user that set something or name a proxy, and without the default file of the user.
 *
 * @returns variables to set over those of the process; undefined removes one.
 */
export function cleanEnvironment(): Record<string, string | undefined> {
  const names = Object.keys(process.env).filter((name) =>
    /^(?:ADIT_|https?_proxy$|all_proxy$|no_proxy$)/i.test(name),
  )
  return {
    ...Object.fromEntries(names.map((name) => [name, undefined])),
    XDG_CONFIG_HOME: '/nonexistent',
  }
}
