/**
 * What the pages and the programs have in common: the JSON of the inspector's API (docs/inspector.md), and the
 * pages as bytes.
 */

/** A file of a page, compressed when the package was built. */
export interface PageAsset {
  /** Path below the page's root, without a slash in front; `index.html` is the page itself. */
  readonly path: string
  /** Media type. */
  readonly type: string
  /** Whether the name has a hash of its content, so that browsers may keep it. */
  readonly isHashed: boolean
  /** Its bytes, gzip. */
  readonly gzip: Uint8Array
}

/** The files of the inspector's page. */
export declare const inspectorAssets: readonly PageAsset[]

/** What an exchange carries. */
export type ExchangeKind = 'http' | 'websocket' | 'sse' | 'tcp'

/** One line of the list. Times in ms, sizes in bytes. */
export interface ExchangeRow {
  /** Names it while the agent runs. */
  readonly id: number
  /** Grows with each change of any exchange. */
  readonly seq: number
  readonly kind: ExchangeKind
  readonly endpoint: string
  /** ISO 8601. */
  readonly startedAt: string
  readonly state: 'open' | 'done' | 'failed'
  /** Empty for a TCP connection. */
  readonly method: string
  /** Path and query, secrets hidden, at most 2048 characters. */
  readonly target: string
  readonly host: string
  /** Absent until the answer has begun. */
  readonly status?: number
  /** Media type of the answer, without parameters. */
  readonly type?: string
  /** Address of the visitor, where it is known. */
  readonly visitor?: string
  readonly requestId?: string
  /** Coded reason why it did not end well. */
  readonly code?: string
  /** From the first byte of the request to the last byte of the answer, and the round trip to the server. */
  readonly totalMs?: number
  /** The last round trip between agent and server. */
  readonly tunnelMs?: number
  /** From the last byte of the request to the first byte of the answer. */
  readonly waitMs?: number
  /** From the first byte of the answer to its last. */
  readonly bodyMs?: number
  /** Bytes from the visitor, heads included. */
  readonly bytesIn: number
  /** Bytes to the visitor, heads included. */
  readonly bytesOut: number
  /** Messages or events so far; of a WebSocket and an event stream. */
  readonly messages?: number
  /** Bytes per second of both directions, the last 30 s; of a TCP connection. */
  readonly spark?: readonly number[]
  readonly pinned?: true
  /** Why not all of it was captured. */
  readonly givenUp?: string
  /** Not all of a body was kept. */
  readonly cut?: true
  /** The exchange that this one repeats. */
  readonly replayOf?: number
  /** It is from a file. */
  readonly imported?: true
  /** The first that the service answered after it was down. */
  readonly afterDown?: true
}

/** A header line. A secret has no value until it is asked for. */
export interface HeaderField {
  readonly name: string
  /** What may be shown; of a hidden one the part that is no secret. */
  readonly value: string
  /** Length of what is hidden, characters. */
  readonly hidden?: number
}

/** A body as far as it was kept. */
export interface BodyInfo {
  /** Bytes that crossed. */
  readonly bytes: number
  /** Bytes that were kept. */
  readonly kept: number
}

/** A message of a WebSocket, or an event of an event stream. */
export interface MessageInfo {
  readonly number: number
  readonly from: 'visitor' | 'service'
  /** Since the exchange began, ms. */
  readonly atMs: number
  readonly type: 'text' | 'binary' | 'ping' | 'pong' | 'close' | 'event'
  readonly bytes: number
  /** The message, UTF-8 or base64, at most 16 KiB of it. */
  readonly data: string
  readonly isBase64?: true
  /** Not all of it was kept. */
  readonly cut?: true
  /** It is compressed, and could not be read. */
  readonly compressed?: true
}

/** One exchange, whole. */
export interface ExchangeDetail {
  readonly row: ExchangeRow
  readonly requestHeaders: readonly HeaderField[]
  readonly responseHeaders: readonly HeaderField[]
  readonly reason?: string
  /** Whether `row.target` hides a part of the query. */
  readonly hidesTarget?: true
  readonly requestBody: BodyInfo
  readonly responseBody: BodyInfo
  readonly messages?: readonly MessageInfo[]
  /** Messages that were dropped for later ones. */
  readonly messagesDropped?: number
  /** Bytes per second since the beginning, at most 300 s; of a TCP connection. */
  readonly rates?: { readonly in: readonly number[]; readonly out: readonly number[] }
  /** How it ended, in order. */
  readonly ends: readonly { readonly who: string; readonly atMs: number }[]
  /** Why the agent ended it. */
  readonly stopped?: string
  /** Whether it can be sent again as it is; else why not. */
  readonly replay: { readonly possible: boolean; readonly why?: string }
  /** What a replay may not do as the original did. */
  readonly replayNotes: readonly string[]
}

/** A listener, as the page shows it. */
export interface InspectedListener {
  readonly endpoint: string
  readonly kind: 'http' | 'tcp'
  readonly service: string
  readonly urls: readonly string[]
  readonly online: boolean
  /** Set while the service does not answer. */
  readonly down?: {
    /** ISO 8601. */
    readonly since: string
    /** What the dialer found. */
    readonly text: string
    /** Visitors that got an error since. */
    readonly refused: number
  }
}

/** State of the agent, as the page shows it. */
export interface InspectorState {
  readonly software: string
  readonly connected: boolean
  /** Why not, and when it is tried again. */
  readonly problem?: string
  readonly rttMs?: number
  readonly listeners: readonly InspectedListener[]
  readonly kept: number
  readonly keep: number
  readonly bytes: number
  readonly maxBytes: number
  readonly bodyBytes: number
  /** Exchanges that were not captured. */
  readonly skipped: number
  /** Whether anything is kept while no page is open. */
  readonly recording: boolean
}

/** A change of the list: event `rows` of the stream. */
export interface RowsChange {
  /** Everything before is void. */
  readonly reset?: true
  readonly rows: readonly ExchangeRow[]
  /** Ids that are no longer kept. */
  readonly removed: readonly number[]
}

/** A replay that differs from the original. Parts that are absent are those of the original. */
export interface ReplayEdit {
  readonly method?: string
  readonly target?: string
  /** Values of hidden headers are taken from the original: `keep` is the index there. */
  readonly headers?: readonly {
    readonly name: string
    readonly value?: string
    readonly keep?: number
  }[]
  /** base64 */
  readonly body?: string
}

/** A difference between two answers. */
export interface Difference {
  readonly where: 'status' | 'header' | 'body'
  readonly name: string
  readonly before?: string
  readonly after?: string
}

/** A problem, as every route answers it. */
export interface ApiProblem {
  readonly error: string
  readonly code: string
  readonly hint?: string
}
