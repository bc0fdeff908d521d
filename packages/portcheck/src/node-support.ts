// Options that Node accepts everywhere but obeys only from some version on. Asking Node does not
// help: an option that is not known is ignored without a word.

/**
 * Whether `reusePort` of `server.listen` has an effect: Node 22.12 or 23.1, on systems that balance
 * (Node refuses it on macOS and Windows).
 */
export function honoursReusePort(
  version: string = process.versions.node,
  platform: NodeJS.Platform = process.platform,
): boolean {
  if (platform === 'darwin' || platform === 'win32') return false
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)
}
