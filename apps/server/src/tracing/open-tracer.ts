import { openSpanExporter, type TracingSettings } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import { VERSION } from '../version.ts'
import { Tracer } from './tracer.ts'

/**
 * Makes the tracer.
 *
 * @param limits - of what is sent. Default: those of program-kit.
 * @returns undefined: there are no traces.
 * @throws {UserError} when the headers cannot be read.
 */
export function openTracer(
  settings: TracingSettings,
  logger: Logger,
  limits: Parameters<typeof openSpanExporter>[2] = {},
): Tracer | undefined {
  const program = { name: 'adit-server', version: VERSION, logger }
  const exporter = openSpanExporter(settings, program, limits)
  return exporter && new Tracer(exporter, settings.sample)
}
