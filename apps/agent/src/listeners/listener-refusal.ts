import { UserError } from '@proj/program-kit'
import { isTunnelError } from '@proj/tunnel'

import { explainError } from '../commands/explain-error.ts'
import type { AgentSettings } from '../settings.ts'

/** Why no server gives this agent an endpoint now. */
export interface ListenerRefusal {
  /** Stable code, where there is one. */
  readonly code: string | undefined
  /** One sentence for people. */
  readonly text: string
  /** What to do about it. */
  readonly hint: string | undefined
  /** Ms since the epoch. */
  readonly at: number
  /** When the server is asked again, ms since the epoch. */
  readonly againAt: number
}

/**
 * Describes a refusal.
 *
 * @param connect - the settings that the server was asked with.
 * @param againMs - when the listener is started again, where the server has advised no time.
 */
export function refusalOf(
  error: Error,
  connect: Pick<AgentSettings['connect'], 'token'>,
  againMs: number,
): ListenerRefusal {
  const explained = explainError(error, connect)
  const { code, retryAfterMs } = isTunnelError(error)
    ? error
    : { code: undefined, retryAfterMs: undefined }
  const at = Date.now()
  return {
    code,
    text: error.message,
    hint: explained instanceof UserError ? explained.hint : undefined,
    at,
    againAt: at + (retryAfterMs ?? againMs),
  }
}

/** A refusal as one warning with its hint. */
export function formatRefusal(endpoint: string, { code, text, hint }: ListenerRefusal): string {
  const why = code === undefined ? text : `${text} (${code})`
  return `warning: ${endpoint} is not served: ${why}\n${hint === undefined ? '' : `  ${hint}\n`}`
}
