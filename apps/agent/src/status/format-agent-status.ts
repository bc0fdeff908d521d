import { escapeUnprintable, formatDuration } from '@proj/config'
import { cutToWidth, formatTable } from '@proj/program-kit'

import type {
  AccessStatus,
  AgentStatus,
  BindStatus,
  FailureStatus,
  FarStatus,
  LinkStatus,
  ListenerStatus,
  RecentRequest,
  RefusalStatus,
} from '@proj/program-kit'
import { formatCounts } from './format-counts.ts'
import { formatOthers } from './format-others.ts'
import { visitorAddresses } from './visitor-addresses.ts'

const HALVES: Readonly<Record<LinkStatus['half'], string>> = {
  offers: 'link',
  accesses: 'access link',
}

/** Formats the state of an agent for a person: connections, listeners and accesses. */
export function formatAgentStatus(status: AgentStatus): string {
  const { software, pid, server, links, listeners, accesses, ready, stopping, inspect } = status
  const { recent = [] } = status
  const state = stopping ? 'stopping' : ready ? 'ready' : 'not ready'
  const head = [
    [software.replace('/', ' '), `pid ${pid}, ${state}`],
    ['server', server],
    ...links.flatMap(linkRows),
    ...(inspect === undefined
      ? []
      : [['inspector', `${inspect} (adit inspect prints the address that opens it)`]]),
  ]
  const listenerTable = listeners.flatMap(listenerRows)
  const accessTable = accesses.flatMap(accessRows)
  return [
    formatTable(head),
    listenerTable.length === 0
      ? ''
      : formatTable([LISTENER_HEADS, ...listenerTable], { indent: 2 }),
    accessTable.length === 0 ? '' : formatTable([ACCESS_HEADS, ...accessTable], { indent: 2 }),
    recent.length === 0
      ? ''
      : formatTable([RECENT_HEADS, ...recentRows(recent, MAX_TARGET)], { indent: 2 }),
  ].join('')
}

const LISTENER_HEADS = ['OFFERED', 'STATE', 'VISITORS']
const ACCESS_HEADS = ['ACCESS', 'HERE', 'FAR SIDE', 'LAST ANSWER']
const RECENT_HEADS = ['AT', 'NAME', 'METHOD', 'PATH', 'STATUS', 'TOOK']

/** Widest path in a table of 80 columns. */
const MAX_TARGET = 28

/** The last requests as cells, without a head. */
export function recentRows(recent: readonly RecentRequest[], maxTarget: number): string[][] {
  return recent.map(({ at, endpoint, method, target, status, code, totalMs }) => [
    new Date(at).toTimeString().slice(0, 8),
    endpoint,
    method === '' ? 'TCP' : method,
    cutToWidth(escapeUnprintable(target), maxTarget),
    [status ?? (code === undefined ? '-' : ''), code ?? ''].join(' ').trim(),
    totalMs === undefined ? 'running' : `${Math.round(totalMs)} ms`,
  ])
}

/** One line about a connection with the server. */
export function formatLink({ state, since, protocol, sessions, ...trouble }: LinkStatus): string {
  const { lastError, nextAttemptMs } = trouble
  if (state === 'connected') {
    const many =
      sessions === undefined ? '' : `, ${sessions} ${sessions === 1 ? 'session' : 'sessions'}`
    const when = since === undefined ? '' : ` since ${since.slice(0, 19)}Z`
    return `connected${when}${many}, protocol ${protocol ?? '?'}`
  }
  const why = lastError === undefined ? '' : `: ${formatFailure(lastError)}`
  const next = nextAttemptMs === undefined ? '' : `, next attempt in ${roughTime(nextAttemptMs)}`
  return `connecting${next}${why}`
}

/** What a link's servers are: told where there are several, or one has rejected this agent. */
export function formatServers({ connections = [], refusedBy = [] }: LinkStatus): string[] {
  const counts = new Map<string, number>()
  for (const { server, serverId } of connections) {
    const name = serverId === undefined ? server : `${server} (${serverId})`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (counts.size < 2 && refusedBy.length === 0) return []
  return [
    ...[...counts].map(
      ([name, count]) => `${name}, ${count} ${count === 1 ? 'session' : 'sessions'}`,
    ),
    ...refusedBy.map(({ server, code, text }) => `${server} is not used: ${text} (${code ?? '?'})`),
  ]
}

/** A failure with its code and how long ago it was. */
export function formatFailure({ code, text, ageMs }: FailureStatus): string {
  return `${text}${code === undefined ? '' : ` (${code})`}, ${roughTime(ageMs)} ago`
}

/** Why an endpoint is not served, and when the server is asked again. */
export function formatRefused({ nextAttemptMs, ...refused }: RefusalStatus): string {
  return `${formatFailure(refused)}, next attempt in ${roughTime(nextAttemptMs)}`
}

/** The state of an endpoint at the server, as two cells: agents, and the last answer of the service. */
export function formatFar({
  state,
  agents,
  sessions,
  outcome,
  ageMs = 0,
}: FarStatus): [string, string] {
  const there = agents ?? sessions ?? 0
  const who = {
    served: `${there} ${there === 1 ? 'agent' : 'agents'}`,
    unserved: 'no agent',
    refused: 'not permitted',
    unknown: 'not known',
  }[state]
  return [who, outcome === undefined ? '-' : `${outcome} ${roughTime(ageMs)} ago`]
}

/** A local address: what is bound, or why it waits. */
export function formatBind({ address, state, addresses, holder, why }: BindStatus): string {
  if (state === 'listening') return addresses.join(' ')
  return `waiting for ${address}${holder === undefined ? `: ${why ?? ''}` : `, held by ${holder}`}`
}

function linkRows(link: LinkStatus): string[][] {
  return [[HALVES[link.half], formatLink(link)], ...formatServers(link).map((text) => ['', text])]
}

function listenerRows(listener: ListenerStatus): string[][] {
  const { endpoint, service, others, lastFailure, isDown, isAdded, refused } = listener
  const there = refused === undefined ? listener.state : 'refused'
  const state = isDown === true ? `${there}, service down` : there
  const [first = '-', ...more] = visitorAddresses(listener)
  return [
    [endpoint, state, `${first} -> ${service}`],
    ...more.map((url) => ['', '', url]),
    ['', '', formatCounts(listener)],
    ...(refused === undefined ? [] : [['', formatRefused(refused)]]),
    ...(refused?.hint === undefined ? [] : [['', refused.hint]]),
    ...(isAdded === true ? [['', 'added, not in the configuration']] : []),
    ...(others === undefined ? [] : [['', formatOthers(others)]]),
    ...(lastFailure === undefined ? [] : [['', `service: ${formatFailure(lastFailure)}`]]),
  ]
}

function accessRows(access: AccessStatus): string[][] {
  const { endpoint, binds, far, lastFailure } = access
  const waiting = binds.filter(({ state }) => state === 'waiting')
  const [first = '-', ...more] = binds
    .filter(({ state }) => state === 'listening')
    .flatMap(({ addresses }) => addresses)
  return [
    [endpoint, first, ...formatFar(far)],
    ...more.map((address) => ['', address]),
    ['', formatCounts(access)],
    ...waiting.map((bind) => ['', formatBind(bind)]),
    ...(lastFailure === undefined ? [] : [['', `last failure: ${formatFailure(lastFailure)}`]]),
  ]
}

/** A time for people: whole seconds, minutes, hours or days, rounded down. */
function roughTime(ms: number): string {
  const units = [86_400_000, 3_600_000, 60_000, 1_000]
  const unit = units.find((one) => ms >= one) ?? 1_000
  return formatDuration(Math.floor(ms / unit) * unit)
}
