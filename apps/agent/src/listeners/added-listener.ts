/** A listener that a command adds to a running agent. */
import { loadSettings, type Problem } from '@proj/config'
import { argumentLayer, type ArgumentValue } from '@proj/program-kit'

import { type AgentSettings, settings } from '../settings.ts'

/** What the command sends: the listener as a file would have it. Secrets are in files that it names. */
export interface ListenerRequest {
  readonly listener: ArgumentValue
  /** Absolute directory that relative paths start from. */
  readonly cwd: string
}

/** A request with the settings that it stands for. */
export interface AddedListener {
  readonly setting: AgentSettings['listeners'][number]
  readonly request: ListenerRequest
}

/** Deepest list or object of a request. */
const MAX_DEPTH = 8

/**
 * Reads a request by the rules of a configuration file.
 *
 * @param value - from the command, or from the process before; its shape is checked.
 */
export async function readListenerRequest(
  value: unknown,
): Promise<AddedListener | { readonly problems: readonly Problem[] }> {
  if (!isRequest(value)) throw new TypeError('the request is not that of a listener')
  const { listener, cwd } = value
  const layers = [argumentLayer({ listeners: [listener] }, cwd)]
  const loaded = await loadSettings(settings, { cwd, layers })
  if (!loaded.ok) return { problems: loaded.problems }
  const [setting] = loaded.settings.listeners
  if (setting === undefined) throw new TypeError('the request has no listener')
  return { setting, request: { listener, cwd } }
}

function isRequest(value: unknown): value is ListenerRequest {
  if (typeof value !== 'object' || value === null) return false
  const { listener, cwd } = value as { readonly listener?: unknown; readonly cwd?: unknown }
  return typeof cwd === 'string' && typeof listener === 'object' && isArgument(listener, MAX_DEPTH)
}

function isArgument(value: unknown, depth: number): value is ArgumentValue {
  if (typeof value === 'string') return true
  if (typeof value !== 'object' || value === null || depth === 0) return false
  return Object.values(value).every((one) => isArgument(one, depth - 1))
}
