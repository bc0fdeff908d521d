import { escapeUnprintable } from '@proj/config'

/** One request, upgraded connection or TCP connection that is over, as the access log has it. */
export interface AccessEntry {
  readonly kind: 'request' | 'upgrade' | 'tcp'
  /** When its head, or the connection, had come, ms since the epoch. */
  readonly time: number
  /** `ok`, or a stable code that says what ended it: that of `adit-error`, or of a reset. */
  readonly outcome: string
  /** Address of the visitor; undefined when a trusted proxy did not say. */
  readonly client: string | undefined
  /** Empty when no endpoint was found. */
  readonly endpoint: string
  readonly tenant: string
  /** The same in the logs of server and agent; undefined before there was one. */
  readonly requestId: string | undefined
  /** Id of the agent that it went to, or of the other node whose agent has it; undefined: none. */
  readonly agent: string | undefined
  /** Bytes from the visitor and to it, heads included. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** When it had come as far, ms after `time`; undefined: it did not. */
  readonly ms: {
    /** Its endpoint was found, and the visitor admitted. */
    readonly routed: number | undefined
    /** It was on a stream to the agent. */
    readonly sent: number | undefined
    /** The head of the answer had come. */
    readonly answered: number | undefined
    /** It was over. */
    readonly total: number
  }
  /** Status of the answer; 0: none was sent. */
  readonly status: number
  /** Of a request and an upgrade; undefined when the head could not be read. */
  readonly http: HttpEntry | undefined
}

/** What the access log has of a head. */
export interface HttpEntry {
  readonly method: string
  readonly target: string
  readonly version: '1.0' | '1.1'
  readonly host: string
  readonly referer: string | undefined
  readonly userAgent: string | undefined
}

/** Names of formats. */
export const ACCESS_LOG_FORMATS = ['off', 'json', 'common', 'combined'] as const

/** How entries are written. */
export type AccessLogFormat = Exclude<(typeof ACCESS_LOG_FORMATS)[number], 'off'>

const MASK = '***'

/** RFC 3986 section 3.2.1; up to the last `@`, as a password may hold one that is not escaped. */
const USER_INFORMATION = /^([^/?#]*\/\/)[^/?#]*@/

/** Lines of access logs; in targets and referers the values of some parameters of the query are masked. */
export class EntryFormat {
  readonly #format: AccessLogFormat
  readonly #masked: ReadonlySet<string>

  /** @param masked - names of parameters, whose case does not matter. */
  constructor(format: AccessLogFormat, masked: readonly string[]) {
    this.#format = format
    this.#masked = new Set(masked.map((name) => name.toLowerCase()))
  }

  /** Writes an entry as a line, with its end. */
  line(entry: AccessEntry): string {
    return this.#format === 'json' ? this.#json(entry) : this.#common(entry)
  }

  #json({ time, kind, outcome, client, tenant, http, ms, status, ...entry }: AccessEntry): string {
    const text = JSON.stringify({
      time: new Date(time).toISOString(),
      kind,
      outcome,
      client,
      endpoint: entry.endpoint,
      tenant: tenant === '' ? undefined : tenant,
      request_id: entry.requestId,
      agent: entry.agent,
      ...(http !== undefined && {
        method: http.method,
        target: this.#mask(http.target),
        host: http.host,
        version: http.version,
        referer: http.referer === undefined ? undefined : this.#maskReferer(http.referer),
        user_agent: http.userAgent,
      }),
      status: status === 0 ? undefined : status,
      bytes_in: entry.bytesIn,
      bytes_out: entry.bytesOut,
      ms: {
        routed: rounded(ms.routed),
        sent: rounded(ms.sent),
        answered: rounded(ms.answered),
        total: rounded(ms.total),
      },
    })
    return `${escapeUnprintable(text)}\n`
  }

  /** The formats of Apache and NCSA; a TCP connection has its endpoint in place of a request. */
  #common({
    time,
    kind,
    client,
    endpoint,
    bytesOut,
    outcome,
    http,
    ...entry
  }: AccessEntry): string {
    const request =
      http === undefined
        ? `${kind === 'tcp' ? `TCP ${endpoint}` : '-'} ${outcome}`
        : `${http.method} ${this.#mask(http.target)} HTTP/${http.version}`
    const status = entry.status === 0 ? '-' : String(entry.status)
    const line = `${client ?? '-'} - - [${clock(time)}] "${quoted(request)}" ${status} ${bytesOut}`
    if (this.#format === 'common') return `${line}\n`
    const referer = http?.referer === undefined ? '-' : quoted(this.#maskReferer(http.referer))
    return `${line} "${referer}" "${quoted(http?.userAgent ?? '-')}"\n`
  }

  /** Browsers leave user information out; other clients may send `https://USER:PASSWORD@HOST/`. */
  #maskReferer(referer: string): string {
    return this.#mask(referer.replace(USER_INFORMATION, `$1${MASK}@`))
  }

  #mask(target: string): string {
    const query = target.indexOf('?')
    if (query < 0 || this.#masked.size === 0) return target
    const parts = target.slice(query + 1).split(/([&;#])/)
    const masked = parts.map((part, at) => (at % 2 === 0 ? this.#maskPart(part) : part))
    return `${target.slice(0, query + 1)}${masked.join('')}`
  }

  #maskPart(part: string): string {
    const equals = part.indexOf('=')
    if (equals < 0) return part
    const name = part.slice(0, equals)
    return this.#masked.has(decoded(name).toLowerCase()) ? `${name}=${MASK}` : part
  }
}

/** A name may be written with percent escapes, and services read it all the same. */
function decoded(name: string): string {
  if (!name.includes('%')) return name
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1000) / 1000
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `30/Nov/2026:03:12:45 +0000` */
function clock(time: number): string {
  const date = new Date(time)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()] ?? ''}/${date.getUTCFullYear()}`
  return `${day}:${[date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')} +0000`
}

/** As Apache does: a line stays one, and nothing ends its quotes. */
function quoted(text: string): string {
  return text.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll(
    // eslint-disable-next-line no-control-regex -- these are what is escaped
    /[\u0000-\u001f\u007f-\u{10ffff}]/gu,
    (one) =>
      Array.from(Buffer.from(one), (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  )
}
