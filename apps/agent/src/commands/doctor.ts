/**
 * `adit doctor`: tries everything that a running agent needs, one after the other, and ends with one thing to do.
 * Nothing is published: which endpoints the server refuses, the running agents tell.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import { TLSSocket } from 'node:tls'

import { escapeLines } from '@proj/config'
import { createAgent, dial, isDialError } from '@proj/dialer'
import {
  type AgentStatus,
  EXIT,
  formatTable,
  graceSignal,
  type Invocation,
  jsonLine,
  UserError,
} from '@proj/program-kit'
import { checkServer, type ServerOptions } from '@proj/tunnel'

import { serverOptions } from '../connect/server-options.ts'
import { controlFolder } from '../control/control-folder.ts'
import { readRunningAgents } from '../control/running-agents.ts'
import { formatListenerAddr, isFolder } from '../listeners/listener-addr.ts'
import { serviceDial } from '../listeners/service-dial.ts'
import { explainServiceError } from '../listeners/service-errors.ts'
import { serviceParts } from '../listeners/service-parts.ts'
import type { AgentSettings, AgentTree } from '../settings.ts'
import type { OwnCommands } from './commands.ts'
import { formatRefused } from '../status/format-agent-status.ts'
import { explainError } from './explain-error.ts'

/** Clocks that differ by more make tokens and certificates look expired, or not valid yet, s. */
const MAX_CLOCK_SKEW_S = 30

/** A certificate that ends sooner should have been renewed, days. */
const MIN_CERTIFICATE_DAYS = 7

/** Longest wait for an answer that only tells clock and certificate, ms. */
const ANSWER_TIMEOUT_MS = 5_000

/** What to do when the address that no setting names is not one of a server. */
const NO_SERVER_HINT =
  'no server is configured: adit login https://tunnel.example.com, or start one on this machine: adit-server'

const DAY_MS = 86_400_000

/** One thing that was tried. */
interface Check {
  /** What was tried; stable. */
  readonly code: 'server' | 'clock' | 'certificate' | 'service' | 'agent' | 'endpoint'
  /** Which one: a URL, an endpoint. */
  readonly subject: string
  readonly ok: boolean
  /** What was found. */
  readonly detail: string
  /** What to do, when it is not well. */
  readonly hint?: string | undefined
}

/** @returns exit code 0 when everything is well, else 1. */
export async function runDoctor({
  loaded,
  json,
  around,
}: Invocation<AgentTree, OwnCommands>): Promise<number> {
  const { stdout, env, signals } = around
  const { connect, listeners } = loaded.settings
  const server = await serverOptions(connect, env)
  const origin = loaded.values.find(({ key }) => key === 'connect.url')?.origin.kind
  const checks: Check[] = []
  for (const url of server.url) {
    checks.push(adviseOn(await tryServer({ ...server, url }, connect, signals.stop), origin))
    if (checks.at(-1)?.ok === true) checks.push(...(await readAnswer(url, server, signals.stop)))
  }
  for (const listener of listeners) checks.push(await tryService(listener, signals.stop))
  signals.stop.throwIfAborted() // else the last check would be told as a failure
  const { agents, silent } = await readRunningAgents(controlFolder(env))
  const count = agents.length + silent.length
  const detail = `${count} of this user run here${silent.length > 0 ? `, ${silent.length} without an answer` : ''}`
  checks.push({
    code: 'agent',
    subject: 'agents',
    ok: silent.length === 0,
    detail,
    hint: silent.length === 0 ? undefined : 'see their logs, and end those that hang',
  })
  checks.push(...agents.flatMap(refusedEndpoints))
  const first = checks.find(({ ok }) => !ok)
  const next = first && (first.hint ?? `look at ${first.subject}`)
  if (json) stdout.write(jsonLine({ ok: first === undefined, checks, next }))
  else {
    const rows = checks.map((check) => [
      check.ok ? 'ok' : 'FAIL',
      check.code,
      check.subject,
      escapeLines(check.detail),
    ])
    const end = next === undefined ? 'nothing to do' : `do this: ${escapeLines(next)}`
    stdout.write(`${formatTable(rows)}\n${end}\n`)
  }
  return first === undefined ? EXIT.ok : EXIT.failed
}

/** Makes one session and ends it: name, route, proxy, TLS, port and token. */
async function tryServer(
  server: ServerOptions & { readonly url: string },
  connect: AgentSettings['connect'],
  signal: AbortSignal,
): Promise<Check> {
  const check = { code: 'server', subject: server.url } as const
  const sinceMs = performance.now()
  try {
    const protocol = await checkServer(server, { signal })
    const ms = Math.round(performance.now() - sinceMs)
    const kind = protocol === 'adit' ? 'an Adit server' : 'a Piko server'
    return { ...check, ok: true, detail: `${kind} accepts this agent, ${ms} ms` }
  } catch (error) {
    return { ...check, ok: false, ...failureOf(error, connect) }
  }
}

/**
 * What to do about a server that cannot be used is to name one, where the address is the default.
 *
 * @param origin - where the address of the server is from.
 */
export function adviseOn(check: Check, origin: string | undefined): Check {
  return check.ok || (origin !== undefined && origin !== 'default')
    ? check
    : { ...check, hint: NO_SERVER_HINT }
}

/** What any answer of the server tells: its clock, and when its certificate ends. Empty where it gives none. */
export async function readAnswer(
  url: string,
  server: ServerOptions,
  stop: AbortSignal,
): Promise<readonly Check[]> {
  const target = new URL(url.replace(/^ws/, 'http'))
  const agent = createAgent(server.connect)
  try {
    const signal = graceSignal(ANSWER_TIMEOUT_MS, stop)
    const request = (target.protocol === 'https:' ? https : http).request(target, { agent, signal })
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      request.on('error', reject)
      // A connection that switches protocols is closed with neither an answer nor an error.
      request.on('close', () => reject(new Error('closed without an answer')))
      request.end()
    })
    const { date } = answer.headers
    const { socket } = answer
    const ends = socket instanceof TLSSocket ? socket.getPeerCertificate().valid_to : undefined
    answer.on('error', () => {}).destroy()
    return [
      ...(date === undefined ? [] : [judgeClock(url, Date.parse(date), Date.now())]),
      ...(ends === undefined ? [] : [judgeCertificate(url, Date.parse(ends), Date.now())]),
    ]
  } catch {
    return [] // the session has worked: what is in front of the server answers nothing else
  } finally {
    agent.destroy()
  }
}

/** Endpoints that the server does not give a running agent: only who offers them learns that. */
function refusedEndpoints({ listeners }: AgentStatus): Check[] {
  return listeners.flatMap(({ endpoint, refused }) =>
    refused === undefined
      ? []
      : [
          {
            code: 'endpoint',
            subject: endpoint,
            ok: false,
            detail: formatRefused(refused),
            hint: refused.hint,
          },
        ],
  )
}

/** Compares the clock of an answer with ours, both ms since the epoch. */
export function judgeClock(subject: string, theirs: number, ours: number): Check {
  const seconds = Math.round((ours - theirs) / 1000)
  const ok = Math.abs(seconds) <= MAX_CLOCK_SKEW_S
  const check = { code: 'clock', subject, ok } as const
  if (ok) return { ...check, detail: 'the clocks of server and agent agree' }
  const way = seconds > 0 ? 'ahead of' : 'behind'
  return {
    ...check,
    detail: `the clock of this machine is ${Math.abs(seconds)} s ${way} that of the server`,
    hint: 'set the clocks by NTP: tokens and certificates are judged by them',
  }
}

/** Judges when a certificate ends, ms since the epoch. */
export function judgeCertificate(subject: string, ends: number, now: number): Check {
  const days = Math.floor((ends - now) / DAY_MS)
  const ok = days >= MIN_CERTIFICATE_DAYS
  return {
    code: 'certificate',
    subject,
    ok,
    detail: `the certificate is valid for ${days} more days`,
    hint: ok ? undefined : 'renew the certificate of the server: docs/tls.md',
  }
}

/** Connects to the service of a listener and closes at once. */
async function tryService(
  listener: AgentSettings['listeners'][number],
  signal: AbortSignal,
): Promise<Check> {
  const { endpoint, addr } = listener
  const check = { code: 'service', subject: endpoint } as const
  const place = formatListenerAddr(addr)
  try {
    const { tls } = await serviceParts(listener)
    if (isFolder(addr)) return { ...check, ok: true, detail: `the folder ${place}` }
    const { service, connect } = serviceDial(addr, listener, tls)
    const socket = await dial(service, { ...connect, signal })
    socket.on('error', () => {}).destroy()
    return { ...check, ok: true, detail: `${place} answers` }
  } catch (error) {
    const { message, hint: ofTls } = explainServiceError(error)
    const detail = isDialError(error) ? message : `the service at ${place}: ${message}`
    const start = `start the service at ${place}, or correct addr of the listener ${endpoint}`
    const isTls = isDialError(error) && error.phase === 'tls'
    return { ...check, ok: false, detail, hint: (isTls ? ofTls : undefined) ?? start }
  }
}

function failureOf(
  error: unknown,
  connect: AgentSettings['connect'],
): { readonly detail: string; readonly hint: string | undefined } {
  const explained = explainError(error, connect)
  if (explained instanceof UserError) return { detail: explained.message, hint: explained.hint }
  throw error
}
