import { list, oneOf, path, percent, type Resolved, setting, text } from '@proj/config'
import { EXIT, UserError, RateBound } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import { AccessLog } from './access-log.ts'
import { ACCESS_LOG_FORMATS } from './entry.ts'

/** At most one warning per interval, ms; the others are counted. */
const WARN_INTERVAL_MS = 10_000

/** Names of parameters that carry credentials, in common protocols and services. */
const MASKED = [
  'token',
  'access_token',
  'id_token',
  'refresh_token',
  'auth',
  'code',
  'key',
  'api_key',
  'apikey',
  'jwt',
  'password',
  'secret',
  'client_secret',
  'sig',
  'signature',
  'x-amz-signature',
  'x-amz-security-token',
]

/** Settings of the group `access_log`. */
export const ACCESS_LOG_SETTINGS = {
  format: setting(oneOf(ACCESS_LOG_FORMATS), {
    default: 'off',
    description: 'One line per request, upgraded connection and TCP connection, when it is over.',
  }),
  path: setting(path(), {
    description:
      'File that the lines are appended to; opened again on SIGUSR1. Unset: standard output.',
  }),
  sample: setting(percent(), {
    default: '100%',
    description: 'Share of the lines with the outcome ok that are written; others all are.',
  }),
  maskQuery: setting(list(text()), {
    default: MASKED,
    description:
      'Parameters in the query of targets and referers whose values are replaced by ***.',
  }),
}

/**
 * Opens the access log.
 *
 * @returns undefined: it is off.
 * @throws {UserError} when the file cannot be opened.
 */
export async function openAccessLog(
  { format, path: file, sample, maskQuery }: Resolved<typeof ACCESS_LOG_SETTINGS>,
  logger: Logger,
): Promise<AccessLog | undefined> {
  if (format === 'off') return undefined
  try {
    return await AccessLog.open({
      format,
      path: file,
      samplePercent: sample,
      maskQuery,
      onProblem: warnSeldom(logger, file),
    })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(`access_log.path: the file cannot be opened: ${why}`, {
      exitCode: EXIT.usage,
      hint: 'choose a directory that the account of the server may write to',
      cause: error,
    })
  }
}

/** A full disk fails each write; its log may be on the same one. */
function warnSeldom(logger: Logger, path: string | undefined): (error: unknown) => void {
  const warnings = new RateBound(WARN_INTERVAL_MS)
  return (error) => {
    const unsaid = warnings.take(performance.now())
    if (unsaid === undefined) return
    logger.warn({ err: error, path, ...(unsaid > 0 && { unsaid }) }, 'access log is not written')
  }
}
