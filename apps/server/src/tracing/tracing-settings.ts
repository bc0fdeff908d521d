import { randomUUID } from 'node:crypto'

import { percent, type Resolved, secret, setting, url } from '@proj/config'
import { EXIT, UserError } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import { RateBound } from '../rate-bound.ts'
import { VERSION } from '../version.ts'
import type { ExportProblem, SpanExportLimits } from './span-exporter.ts'
import type { Tracer } from './tracer.ts'

/** At most one warning per interval, ms; the others are counted. */
const WARN_INTERVAL_MS = 60_000

/** Path for traces below the address of an OTLP/HTTP receiver. */
const TRACES_PATH = '/v1/traces'

/** Settings of the group `tracing`. */
export const TRACING_SETTINGS = {
  url: setting(url({ schemes: ['http', 'https'] }), {
    description:
      'OTLP/HTTP receiver that gets a span per request, such as http://localhost:4318; /v1/traces is added. Unset: no traces.',
  }),
  sample: setting(percent(), {
    default: '100%',
    description:
      'Share of the requests that get a span. A trusted proxy that sends traceparent decides itself.',
  }),
  headers: setting(secret(), {
    description: 'Headers for the receiver, such as credentials: one "Name: value" per line.',
  }),
}

/**
 * Makes the tracer. Its code is loaded only where there is a receiver.
 *
 * @returns undefined: there are no traces.
 * @throws {UserError} when the headers cannot be read.
 */
export async function openTracer(
  { url: base, sample, headers }: Resolved<typeof TRACING_SETTINGS>,
  logger: Logger,
  limits: Partial<SpanExportLimits> = {},
): Promise<Tracer | undefined> {
  if (base === undefined) return undefined
  const [tracer, exporter] = await Promise.all([
    import('./tracer.ts'),
    import('./span-exporter.ts'),
  ])
  const receiver = new URL(base)
  const path = receiver.pathname.replace(/\/+$/, '')
  receiver.pathname = path.endsWith(TRACES_PATH) ? path : `${path}${TRACES_PATH}`
  const spans = new exporter.SpanExporter({
    url: receiver.href,
    headers: readHeaders(headers?.reveal() ?? ''),
    resource: {
      'service.name': 'adit-server',
      'service.version': VERSION,
      // Differs between all processes.
      'service.instance.id': randomUUID(),
    },
    onProblem: warnSeldom(logger, receiver.origin),
    limits,
  })
  return new tracer.Tracer(spans, sample)
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

function warnSeldom(logger: Logger, receiver: string): (problem: ExportProblem) => void {
  const warnings = new RateBound(WARN_INTERVAL_MS)
  return (problem) => {
    const unsaid = warnings.take(performance.now())
    if (unsaid === undefined) return
    logger.warn({ ...problem, receiver, ...(unsaid > 0 && { unsaid }) }, 'spans are not sent')
  }
}
