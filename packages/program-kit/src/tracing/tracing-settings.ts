import { randomUUID } from 'node:crypto'

import {
  percent,
  type Resolved,
  type Secret,
  secret,
  setting,
  type Setting,
  url,
} from '@proj/config'

import { RateBound } from '../output/rate-bound.ts'
import { EXIT, UserError } from '../process/exit-code.ts'
import { type ExportProblem, SpanExporter, type SpanExportLimits } from './span-exporter.ts'

/** At most one warning per interval, ms; the others are counted. */
const WARN_INTERVAL_MS = 60_000

/** Path for traces below the address of an OTLP/HTTP receiver. */
const TRACES_PATH = '/v1/traces'

/** Resolved settings of the group `tracing`. */
export type TracingSettings = Resolved<ReturnType<typeof tracingSettings>>

/**
 * Settings of the group `tracing`.
 *
 * @param sampleDescription - of the share of the requests that get a span.
 */
export function tracingSettings(sampleDescription: string): {
  readonly url: Setting<string | undefined>
  readonly sample: Setting<number>
  readonly headers: Setting<Secret | undefined>
} {
  return {
    url: setting(url({ schemes: ['http', 'https'] }), {
      description:
        'OTLP/HTTP receiver that gets a span per request, such as http://localhost:4318; /v1/traces is added. Unset: no traces.',
    }),
    sample: setting(percent(), { default: '100%', description: sampleDescription }),
    headers: setting(secret(), {
      description: 'Headers for the receiver, such as credentials: one "Name: value" per line.',
    }),
  }
}

/** The program whose spans are sent. */
export interface TracedProgram {
  /** The name of the service that spans are of: `adit-server`. */
  readonly name: string
  /** Its version: `1.2.0`. */
  readonly version: string
  /** Gets a warning a minute at most when spans are not taken. */
  readonly logger: { warn(fields: object, message: string): void }
}

/**
 * Makes what sends the spans.
 *
 * @param limits - Default: SPAN_EXPORT_LIMITS.
 * @returns undefined: there are no traces.
 * @throws {UserError} when the headers cannot be read.
 */
export function openSpanExporter(
  { url: base, headers }: TracingSettings,
  { name, version, logger }: TracedProgram,
  limits: Partial<SpanExportLimits> = {},
): SpanExporter | undefined {
  if (base === undefined) return undefined
  const receiver = new URL(base)
  const path = receiver.pathname.replace(/\/+$/, '')
  receiver.pathname = path.endsWith(TRACES_PATH) ? path : `${path}${TRACES_PATH}`
  return new SpanExporter({
    url: receiver.href,
    headers: readHeaders(headers?.reveal() ?? ''),
    scope: name,
    resource: {
      'service.name': name,
      'service.version': version,
      // Differs between all processes.
      'service.instance.id': randomUUID(),
    },
    onProblem: warnSeldom(logger, receiver.origin),
    limits,
  })
}

/** The text is never part of an error: it is a secret. */
function readHeaders(text: string): Headers {
  const headers = new Headers()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue
    const colon = line.indexOf(':')
    try {
      headers.append(line.slice(0, Math.max(colon, 0)).trim(), line.slice(colon + 1).trim())
    } catch {
      throw new UserError(`tracing.headers: line ${index + 1} is not a header`, {
        exitCode: EXIT.usage,
        hint: 'write one header per line, such as "Authorization: Bearer TOKEN"',
      })
    }
  }
  headers.set('content-type', 'application/json')
  return headers
}

function warnSeldom(
  logger: TracedProgram['logger'],
  receiver: string,
): (problem: ExportProblem) => void {
  const warnings = new RateBound(WARN_INTERVAL_MS)
  return (problem) => {
    const unsaid = warnings.take(performance.now())
    if (unsaid === undefined) return
    logger.warn({ ...problem, receiver, ...(unsaid > 0 && { unsaid }) }, 'spans are not sent')
  }
}
