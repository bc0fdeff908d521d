import { abandonable } from '../deadline.ts'
import { type DialContext, timedOut } from '../dial-context.ts'
import { DialError, isDialError } from '../errors.ts'
import type { ProxySelection, RouteScheme } from './environment.ts'
import { type FindProxy, selectionsOf, urlOf } from './find-proxy.ts'
import { type Target, withoutAsking } from './select-proxy.ts'

/**
 * Chooses the proxies for a target: the next one is used when one cannot be reached. An explicit proxy is
 * used for every target that is not in `noProxy`, also for loopback; NO_PROXY of the environment is used
 * only with proxies of the environment.
 * @throws {DialError} DIAL_PROXY_INVALID, or DIAL_PROXY_TIMEOUT when a function does not answer
 */
export async function chooseProxies(
  context: DialContext,
  scheme: RouteScheme,
  target: Target,
): Promise<readonly ProxySelection[]> {
  const { proxy: option, noProxy } = context.options
  const selection = withoutAsking(option, noProxy, scheme, target)
  if (selection !== undefined) return [selection]
  if (typeof option !== 'function' || 'path' in target) return []
  return askForProxies(context, option, scheme, target)
}

/**
 * Asks the function for the proxies of a target, within the time limit for a proxy.
 * @throws {DialError} DIAL_PROXY_INVALID when it throws or answers in another form; DIAL_PROXY_TIMEOUT
 */
async function askForProxies(
  context: DialContext,
  find: FindProxy,
  scheme: RouteScheme,
  target: { readonly host: string; readonly port: number },
): Promise<readonly ProxySelection[]> {
  const url = urlOf(scheme, target)
  const limitMs = context.options.timeouts.proxyMs
  const message = `the function of the option proxy did not answer for ${url}`
  return context.step(
    {
      phase: 'proxy',
      leg: 'local',
      about: `choice for ${url}`,
      limitMs,
      expired: () => timedOut('DIAL_PROXY_TIMEOUT', 'proxy', 'local', message, limitMs),
    },
    async (signal) => {
      try {
        // A function that throws at once rejects as well.
        const asked = Promise.resolve().then(() => find(url, target.host, signal))
        return selectionsOf(find, await abandonable(asked, signal))
      } catch (error) {
        signal.throwIfAborted()
        throw isDialError(error) ? error : refused(error)
      }
    },
    (found) => found.map(({ proxy }) => proxy?.toString() ?? 'direct').join(', then '),
  )
}

function refused(error: unknown): DialError {
  const why = error instanceof Error ? error.message : 'it threw no error'
  return new DialError('DIAL_PROXY_INVALID', `the function of the option proxy failed: ${why}`, {
    phase: 'proxy',
    leg: 'local',
    hint: 'it returns text such as "PROXY proxy.example:3128; DIRECT", or a URL',
    cause: error,
  })
}
