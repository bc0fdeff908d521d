import * as http from 'node:http'
import * as https from 'node:https'

import { type AddressBlock, AddressList, AddressSet } from '@proj/config/address'

import { PROOF_PATH } from '../proxy/domains.ts'
import { MISSING_IN_DNS, type ProofCheck, type ProofFound, resolverOf } from './txt-proof.ts'

/** How long a check takes at most, ms: looking up, connecting and reading, for all addresses. */
const CHECK_TIMEOUT_MS = 10_000

/** Addresses of a domain that are tried. */
const MAX_ADDRESSES = 4

/** Most bytes of a file that are read, and of the head in front of it. */
const MAX_FILE_BYTES = 1_024
const MAX_HEAD_BYTES = 8_192

/** Statuses of a web server that cannot answer now. */
const BUSY: ReadonlySet<number> = new Set([408, 425, 429])

/**
 * Addresses of the Internet: what the IANA registries of special-purpose addresses list for private networks, this
 * machine, documentation, tunnels and groups is none.
 */
const PUBLIC = new AddressList({
  allow: ['0.0.0.0/0', '2000::/3'],
  deny: [
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '192.168.0.0/16',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '224.0.0.0/3',
    '2001::/23',
    '2001:db8::/32',
    '2002::/16',
    '3fff::/20',
  ],
})

/** How files are fetched. */
export interface HttpProofOptions {
  /** DNS servers, `192.0.2.53` or `[::1]:5353`. Default: those of the system. */
  readonly servers?: readonly string[]
  /** Addresses that are asked although they are not of the Internet. Default: none. */
  readonly alsoFrom?: Iterable<string | AddressBlock>
  /** Ports of the web server. Default: 80, and 443 with TLS. */
  readonly ports?: { readonly http: number; readonly https: number }
  /** Certificates that sign those of web servers, PEM. Default: those of Node. */
  readonly ca?: string
}

/** One web server of a domain. */
interface WebServer {
  readonly domain: string
  readonly address: string
  readonly signal: AbortSignal
}

/** `refused`: there is no web server. */
type Fetched =
  | 'refused'
  | 'unknown'
  | { readonly status: number; readonly location: string | undefined; readonly text: string }

/**
 * Looks for the file of a domain at its own web server, as anyone on the Internet would get it. A request goes to an
 * address that was checked, so that a second look at DNS cannot lead it elsewhere; it follows no redirect but that to
 * HTTPS of the same name and path.
 */
export function httpProof(options: HttpProofOptions = {}): ProofCheck {
  const { servers = [], alsoFrom = [], ports = { http: 80, https: 443 }, ca } = options
  const also = new AddressSet(alsoFrom)
  const mayAsk = (address: string): boolean => PUBLIC.admits(address) || also.has(address)
  return async (domain, value, stop) => {
    if (stop.aborted) return 'unknown'
    const ended = new AbortController()
    const end = (): void => ended.abort()
    const timer = setTimeout(end, CHECK_TIMEOUT_MS)
    const endsAt = performance.now() + CHECK_TIMEOUT_MS
    stop.addEventListener('abort', end, { once: true })
    const { signal } = ended
    try {
      const found = await addressesOf(domain, servers, signal)
      if (typeof found === 'string') return found
      let mayBeThere = false
      const addresses = found.filter(mayAsk).slice(0, MAX_ADDRESSES)
      for (const [index, address] of addresses.entries()) {
        // One that does not answer leaves the others their shares of the time.
        const shareMs = (endsAt - performance.now()) / (addresses.length - index)
        const share = AbortSignal.any([
          signal,
          AbortSignal.timeout(Math.max(1, Math.floor(shareMs))),
        ])
        const answer = await fetchFile({ domain, address, signal: share }, ports, ca)
        mayBeThere ||= answer === 'unknown'
        if (typeof answer !== 'string') return judge(answer, value)
      }
      return mayBeThere ? 'unknown' : 'missing'
    } finally {
      clearTimeout(timer)
      stop.removeEventListener('abort', end)
      end()
    }
  }
}

/** The addresses of a name, those of IPv4 first. */
async function addressesOf(
  name: string,
  servers: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[] | 'missing' | 'unknown'> {
  const resolver = resolverOf(servers)
  const cancel = (): void => resolver.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
    const addresses = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    if (addresses.length > 0) return addresses
    const isMissing = found.every(
      (one) =>
        one.status === 'rejected' &&
        MISSING_IN_DNS.has((one.reason as { readonly code?: unknown }).code),
    )
    return isMissing ? 'missing' : 'unknown'
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** The file as the web server at one address has it: by HTTP, or by HTTPS where HTTP leads there or is not there. */
async function fetchFile(
  server: WebServer,
  ports: { readonly http: number; readonly https: number },
  ca: string | undefined,
): Promise<Fetched> {
  const { domain, address, signal } = server
  const plain = { host: address, port: ports.http, ...REQUEST, headers: headersFor(domain), signal }
  const secure = {
    ...plain,
    port: ports.https,
    servername: domain,
    ...(ca !== undefined && { ca }),
  }
  const first = await exchange(http.request({ ...plain, agent: false }))
  const leadsOn =
    typeof first !== 'string' &&
    first.status >= 300 &&
    first.status < 400 &&
    first.location?.toLowerCase() === `https://${domain}${PROOF_PATH}`
  if (first !== 'refused' && !leadsOn) return first
  return await exchange(https.request({ ...secure, agent: false }))
}

const REQUEST = {
  method: 'GET',
  path: PROOF_PATH,
  maxHeaderSize: MAX_HEAD_BYTES,
  setHost: false,
}

function headersFor(domain: string): http.OutgoingHttpHeaders {
  return {
    host: domain,
    accept: 'text/plain',
    'accept-encoding': 'identity',
    connection: 'close',
    'user-agent': 'adit-server',
  }
}

async function exchange(request: http.ClientRequest): Promise<Fetched> {
  try {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      request.on('error', reject)
      // A connection that switches protocols is closed with neither an answer nor an error.
      request.on('close', () => reject(new Error('closed without an answer')))
      request.end()
    })
    const { statusCode: status = 0, headers } = response
    const text = status === 200 ? await readStart(response) : ''
    return { status, location: headers.location, text }
  } catch (error) {
    const { code } = error as { readonly code?: unknown }
    return code === 'ECONNREFUSED' ? 'refused' : 'unknown'
  } finally {
    // What comes of it now is of no interest.
    request.on('error', () => {})
    request.destroy()
  }
}

async function readStart(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    chunks.push(chunk)
    if (bytes > MAX_FILE_BYTES) return ''
  }
  return Buffer.concat(chunks).toString('latin1')
}

function judge(
  { status, text }: { readonly status: number; readonly text: string },
  value: string,
): ProofFound {
  if (status >= 500 || BUSY.has(status)) return 'unknown'
  return text.split('\n').some((line) => line.trim() === value) ? 'proved' : 'missing'
}

/** Where the file of a domain is. */
export function proofUrl(domain: string): string {
  return `http://${domain}${PROOF_PATH}`
}
