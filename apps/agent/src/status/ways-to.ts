/** How people reach an endpoint: its URLs, or the command of the consumer's side. */
export function waysTo({
  endpoint,
  kind,
  urls,
}: {
  readonly endpoint: string
  readonly kind: 'http' | 'tcp'
  readonly urls: readonly string[]
}): readonly string[] {
  const direct = kind === 'http' ? urls : urls.filter((url) => url.startsWith('tcp:'))
  return direct.length > 0 ? direct : [`adit access ${endpoint}`]
}
