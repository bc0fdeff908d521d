/** Where visitors reach an endpoint: its URLs, or else the command that a consumer runs. */
export function visitorAddresses({
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
