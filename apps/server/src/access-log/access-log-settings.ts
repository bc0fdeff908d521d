import { list, oneOf, path, percent, type Resolved, setting, text } from '@proj/config'
import { EXIT, UserError } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import { AccessLog } from './access-log.ts'
import { ACCESS_LOG_FORMATS } from './entry.ts'

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
      onProblem: (error) => logger.warn({ err: error, path: file }, 'access log is not written'),
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
