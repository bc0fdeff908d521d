import type { Duplex } from 'node:stream'

import type { AnswerStrictness } from '@proj/tunnel'

import type { ServiceParts } from '../service-parts.ts'
import type { ServiceSubstitute } from '../enforcement.ts'
import { formatListenerAddr, isFolder } from '../listener-addr.ts'
import { connectService, serviceDial } from '../service-dial.ts'
import { HttpRules, type RuledListener } from './http-rules.ts'
import { RuledService } from './ruled-service.ts'

type RuledSettings = RuledListener &
  Parameters<typeof serviceDial>[1] & { readonly strictness: AnswerStrictness | undefined }

/**
 * What takes the place of the service for each stream of a listener with rules.
 *
 * @param onError - told why a service could not be reached, and which.
 */
export function ruledServices(
  settings: RuledSettings,
  { tls, folders }: ServiceParts,
  onError: (error: unknown, service: string) => void,
): ServiceSubstitute {
  const rules = new HttpRules(settings)
  const services = rules.services.map((addr) => ({
    name: formatListenerAddr(addr),
    folder: isFolder(addr) ? folders.get(addr.folder) : undefined,
    ...serviceDial(addr, settings, tls),
  }))
  const dial = async (at: number, signal: AbortSignal): Promise<Duplex> => {
    const service = services[at]
    if (service === undefined) throw new RangeError(`there is no service ${at}`)
    if (service.folder !== undefined) return service.folder.connect()
    try {
      return await connectService(service, signal)
    } catch (error) {
      if (!signal.aborted) onError(error, service.name)
      throw error
    }
  }
  return (record) =>
    new RuledService({
      rules,
      strictness: settings.strictness ?? 'lenient',
      requestTimeoutMs: settings.requestTimeoutMs,
      // Only our server writes the header, and only on streams of its proxy port.
      visitor: record?.kind === 'http' ? 'forwarded' : { address: record?.visitorAddress },
      dial,
    })
}
