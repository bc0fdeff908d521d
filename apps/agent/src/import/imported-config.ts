/** What is made of a file of another program: the listeners and accesses of ours, as YAML. */

/** A listener, with the keys of our settings. */
export interface ImportedListener {
  readonly endpoint: string
  readonly addr: string
  readonly protocol?: 'tcp'
  readonly public_port?: string
  readonly host_header?: string
  readonly request_headers?: readonly string[]
  readonly insecure?: boolean
  readonly basicAuth?: readonly { readonly user: string; readonly password: string }[]
}

/** An access, with the keys of our settings. */
export interface ImportedAccess {
  readonly endpoint: string
  readonly bindAddr: string
  /** Whether other machines can connect, which has to be said in our files. */
  readonly isPublic: boolean
}

/** Everything that was found. */
export interface ImportedConfig {
  /** URL of the server; undefined: the file names none of ours. */
  url?: string
  token?: string
  /** Whether its texts refer to variables as ours do: `${NAME}`. @default false */
  hasVariables?: boolean
  readonly listeners: ImportedListener[]
  readonly accesses: ImportedAccess[]
}

/** Longest name that is kept, characters: there is room for a number behind it in a label of 63. */
const MAX_NAME = 50

/** The name of an endpoint from that of another program: what no host name can have becomes a hyphen. */
export function endpointFrom(name: string, used: readonly { readonly endpoint: string }[]): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, MAX_NAME)
    .replace(/-+$/, '')
  const base = plain === '' ? 'service' : plain
  let endpoint = base
  for (let more = 2; used.some((one) => one.endpoint === endpoint); more++) {
    endpoint = `${base}-${more}`
  }
  return endpoint
}

/** Writes the file. */
export function formatImported(config: ImportedConfig, from: string): string {
  // a dollar sign of another program is one, and begins no variable
  const quoted = (text: string): string =>
    quote(config.hasVariables === true ? text : text.replaceAll('$', '$$$$'))
  const lines = [`# Made of ${from} by adit import. Check: adit config check.`, '']
  if (config.url !== undefined || config.token !== undefined) {
    lines.push('connect:')
    if (config.url !== undefined) lines.push(`  url: ${quoted(config.url)}`)
    if (config.token !== undefined) lines.push(`  token: ${quoted(config.token)}`)
    lines.push('')
  } else lines.push('# The server and its token: adit login https://tunnel.example.com', '')
  if (config.listeners.length > 0) lines.push('listeners:')
  for (const { basicAuth = [], insecure = false, ...listener } of config.listeners) {
    let lead = '  - '
    for (const [key, value] of Object.entries(listener)) {
      if (Array.isArray(value)) {
        lines.push(`${lead}${key}:`, ...value.map((one) => `      - ${quoted(String(one))}`))
      } else lines.push(`${lead}${key}: ${quoted(String(value))}`)
      lead = '    '
    }
    if (insecure) lines.push('    tls:', '      insecure_skip_verify: true')
    if (basicAuth.length > 0) lines.push('    visitors:', '      basic_auth:')
    for (const { user, password } of basicAuth) {
      lines.push(`        - user: ${quoted(user)}`, `          password: ${quoted(password)}`)
    }
  }
  if (config.accesses.length > 0) lines.push('accesses:')
  for (const { endpoint, bindAddr, isPublic } of config.accesses) {
    lines.push(`  - endpoint: ${quoted(endpoint)}`, `    bind_addr: ${quoted(bindAddr)}`)
    if (isPublic) lines.push('    public: true')
  }
  return `${lines.join('\n')}\n`
}

/** A text of YAML; plain where nothing else could be meant. */
function quote(text: string): string {
  return /^[a-z][\w./-]*$/i.test(text) && !/^(?:true|false|yes|no|on|off|null|y|n)$/i.test(text)
    ? text
    : JSON.stringify(text)
}
