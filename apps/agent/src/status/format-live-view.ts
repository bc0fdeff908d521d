import { styleText } from 'node:util'

import { escapeUnprintable } from '@proj/config'
import { cutToWidth, formatTable, roughSize } from '@proj/program-kit'

import type {
  AccessStatus,
  AgentStatus,
  ListenerStatus,
  RecentRequest,
  TrafficStatus,
} from '@proj/program-kit'
import {
  formatBind,
  formatFailure,
  formatFar,
  formatLink,
  formatRefused,
  formatServers,
  recentRows,
} from './format-agent-status.ts'
import { countsOf } from './format-counts.ts'
import { formatOthers } from './format-others.ts'
import { qrCode } from './qr-code.ts'
import { visitorAddresses } from './visitor-addresses.ts'

/** Bytes per second of one listener or access. */
export interface Rate {
  /** Bytes per second towards the service. */
  readonly toService: number
  /** Bytes per second from the service. */
  readonly fromService: number
}

/** What the live view is drawn from. */
export interface LiveViewOptions {
  /** Width of the terminal. */
  readonly columns: number
  /** Height the view may have, lines; listeners and accesses beyond it are left out. */
  readonly maxLines: number
  /** Whether to write escape sequences for colours. */
  readonly colour: boolean
  /** Rates in the order of the listeners, then of the accesses. */
  readonly rates: readonly Rate[]
  /** The address that opens the inspector. Default: there is none. */
  readonly inspector?: string | undefined
  /** The last requests, the newest first. Default: none. */
  readonly recent?: readonly RecentRequest[]
  /** Whether keys are read. Default: false. */
  readonly hasKeys?: boolean
  /** Which of the public URLs is shown as a QR code, in place of everything else. Default: none. */
  readonly code?: number | undefined
}

type Style = Parameters<typeof styleText>[0]

interface Line {
  readonly text: string
  readonly style?: Style
}

/** Widths from which a table has all its columns, and from which it has the ways. */
const WIDE = 100
const MEDIUM = 60

/** Most lines of the last requests, their head included. */
const MAX_RECENT = 9

/** Columns of a request besides its path. */
const OTHER_COLUMNS = 50

/** What begins the address of something that the camera of a phone opens. */
const WEB = /^https?:/

/** Lines that are there in any case: state of the links, what was left out, keys. */
const KEYS = 'Ctrl-C: finish and end, twice: end now'
const KEYS_STOPPING = 'stopping: what is open may finish, Ctrl-C: end now'

/** Draws the live view as lines that fit the terminal. */
export function formatLiveView(status: AgentStatus, options: LiveViewOptions): string[] {
  const { columns, maxLines, colour } = options
  const { inspector, hasKeys = false, code } = options
  if (code !== undefined) return codeLines(publicUrls(status), code, options)
  const page: Line[] = inspector === undefined ? [] : [{ text: `inspector ${inspector}` }]
  const head = [...headLines(status), ...page]
  const foot: Line[] = [
    status.stopping
      ? { text: KEYS_STOPPING, style: 'yellow' }
      : { text: hasKeys ? `q: QR code, ${KEYS}` : KEYS, style: 'gray' },
  ]
  const body = bodyLines(status, options)
  const room = Math.max(0, maxLines - head.length - foot.length)
  const isCut = body.length > room
  const shown = isCut ? body.slice(0, Math.max(0, room - 1)) : body
  const last = recentLines(options.recent ?? [], Math.min(MAX_RECENT, room - body.length), columns)
  const left = body.length - shown.length
  const rest: Line[] = isCut && room > 0 ? [{ text: `... ${left} more lines: adit status` }] : []
  return [...head, ...shown, ...rest, ...last, ...foot]
    .slice(0, maxLines)
    .map(({ text, style }) => {
      const fitted = cutToWidth(escapeUnprintable(text), columns)
      return colour && style !== undefined
        ? styleText(style, fitted, { validateStream: false })
        : fitted
    })
}

/** The last requests; the newest is the last line, as in a log. */
function recentLines(recent: readonly RecentRequest[], most: number, columns: number): Line[] {
  if (most < 2 || recent.length === 0) return []
  // What the other columns have, with room for a status with a code.
  const rows = recentRows(recent.slice(0, most - 1), Math.max(10, columns - OTHER_COLUMNS))
  const names = new Set(recent.map(({ endpoint }) => endpoint))
  const cells = names.size > 1 ? rows : rows.map(([at = '', , ...more]) => [at, ...more])
  const lines = formatTable(cells.toReversed(), { indent: 2 }).trimEnd().split('\n')
  return [{ text: 'last requests' }, ...lines.map((text): Line => ({ text }))]
}

/** The URLs that visitors open in a browser, in order. */
export function publicUrls({ listeners }: Pick<AgentStatus, 'listeners'>): readonly string[] {
  return listeners
    .filter(({ state }) => state === 'online')
    .flatMap(visitorAddresses)
    .filter((url) => WEB.test(url))
}

/** One URL as a QR code. */
function codeLines(
  urls: readonly string[],
  at: number,
  { columns, maxLines, colour }: LiveViewOptions,
): string[] {
  const url = urls[at]
  const fit = (text: string): string => cutToWidth(escapeUnprintable(text), columns)
  if (url === undefined) return [fit('no public URL yet (q: back)')]
  const code = qrCode(url, { columns, rows: maxLines - 2, colour })
  const next = at + 1 < urls.length ? 'q: the next one' : 'q: back'
  const host = URL.canParse(url) ? new URL(url).hostname : ''
  const isLocal = /(?:^|\.)localhost$/.test(host) ? ', only this machine finds it' : ''
  const why = code === undefined ? ', no room for its QR code' : ''
  return [...(code ?? []), fit(url), fit(`${next}${isLocal}${why}`)]
}

function headLines({ software, server, links }: AgentStatus): Line[] {
  return [
    { text: `${software.replace('/', ' ')}, ${server}`, style: 'bold' },
    ...links.flatMap((link): Line[] => {
      const name = links.length > 1 ? `${link.half}: ` : ''
      const style = link.state === 'connected' ? 'green' : 'red'
      return [
        { text: `${name}${formatLink(link)}`, style },
        ...formatServers(link).map((text): Line => ({ text: `  ${text}` })),
      ]
    }),
  ]
}

function bodyLines(status: AgentStatus, { columns, rates }: LiveViewOptions): Line[] {
  const { listeners, accesses } = status
  const entries = [
    ...listeners.map((one, index) => listenerEntry(one, rates[index])),
    ...accesses.map((one, index) => accessEntry(one, rates[listeners.length + index])),
  ]
  const table = formatTable(entries.map((entry) => cells(entry, columns))).split('\n')
  return entries.flatMap((entry, index) => {
    const { isWell, ways, notes } = entry
    const more = columns < MEDIUM ? ways : ways.slice(1)
    return [
      { text: table[index] ?? '', ...(!isWell && { style: 'yellow' as const }) },
      ...more.map((way) => ({ text: `  ${way}` })),
      ...notes.map((note) => ({ text: `  ${note}`, style: 'yellow' as const })),
    ]
  })
}

/** One listener or access, whatever the width. */
interface Entry {
  readonly name: string
  readonly isWell: boolean
  /** How it is reached here, or by visitors. */
  readonly ways: readonly string[]
  /** What it leads to. */
  readonly target: string
  /** Requests are counted, and not connections. */
  readonly isHttp: boolean
  readonly open: string
  readonly total: string
  readonly rate: string
  readonly notes: readonly string[]
}

function cells(
  { name, ways, target, open, total, rate, isHttp }: Entry,
  columns: number,
): string[] {
  if (columns < MEDIUM) return [name, open, rate]
  const way = ways[0] ?? '-'
  if (columns >= WIDE) return [name, way, '->', target, open, total, rate]
  return isHttp ? [name, way, total, rate] : [name, way, open, rate]
}

function listenerEntry(listener: ListenerStatus, rate: Rate | undefined): Entry {
  const { endpoint, state, service, others, lastFailure, refused } = listener
  const isWell = state === 'online'
  return {
    name: endpoint,
    isWell,
    ways: isWell ? visitorAddresses(listener) : [refused === undefined ? 'offline' : 'refused'],
    target: service,
    isHttp: listener.requests !== undefined,
    ...trafficCells(listener, rate),
    notes: [
      ...(refused === undefined ? [] : [formatRefused(refused)]),
      ...(others === undefined ? [] : [formatOthers(others)]),
      ...(lastFailure === undefined ? [] : [`service: ${formatFailure(lastFailure)}`]),
    ],
  }
}

function accessEntry(access: AccessStatus, rate: Rate | undefined): Entry {
  const { endpoint, binds, far, lastFailure } = access
  const waiting = binds.filter(({ state }) => state === 'waiting')
  const [who, answer] = formatFar(far)
  return {
    name: endpoint,
    isWell: far.state === 'served' && waiting.length === 0,
    ways: binds.flatMap(({ addresses }) => addresses),
    target: answer === '-' ? who : `${who}, ${answer}`,
    isHttp: false,
    ...trafficCells(access, rate),
    notes: [
      ...waiting.map(formatBind),
      ...(lastFailure === undefined ? [] : [`last failure: ${formatFailure(lastFailure)}`]),
    ],
  }
}

function trafficCells(
  traffic: TrafficStatus & Pick<ListenerStatus, 'requests'>,
  rate: Rate | undefined,
): Pick<Entry, 'open' | 'total' | 'rate'> {
  const { toService = 0, fromService = 0 } = rate ?? {}
  return {
    ...countsOf(traffic),
    rate: `${roughSize(toService)}/s in, ${roughSize(fromService)}/s out`,
  }
}
