import { openSpanExporter, type TracingSettings } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import { VERSION } from '../version.ts'
import type { Tracer } from './tracer.ts'

/**
 * Makes the tracer. Its code is loaded only where there is a receiver.
 *
 * @param limits - of what is sent. Default: those of program-kit.
 * @returns undefined: there are no traces.
 * @throws {UserError} when the headers cannot be read.
 */
export async function openTracer(
  settings: TracingSettings,
  logger: Logger,
  limits: Parameters<typeof openSpanExporter>[2] = {},
): Promise<Tracer | undefined> {
  const program = { name: 'adit-server', version: VERSION, logger }
  const exporter = await openSpanExporter(settings, program, limits)
  if (exporter === undefined) return undefined
  const { Tracer: Made } = await import('./tracer.ts')
  return new Made(exporter, settings.sample)
}
