import type { RequestHead } from '@proj/http1'
import { AGENT_KEY_LENGTH } from '@proj/tunnel/server'

/** Cookies that name the agent of a visitor, for endpoints with `balance: cookie`. */
const PREFIX = 'adit_agent='

/** The line of an answer that binds the visitor to an agent, with its CRLF. */
export function agentCookieLine(agentKey: string, isSecure: boolean): string {
  const secure = isSecure ? '; Secure' : ''
  return `Set-Cookie: ${PREFIX}${agentKey}; Path=/; HttpOnly; SameSite=Lax${secure}\r\n`
}

/** What could be keys of agents in the cookies of a request, with their places: of several, the first one counts. */
export function agentKeysIn({ headers }: RequestHead): ReadonlyMap<string, number> {
  const keys = new Map<string, number>()
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== 'cookie') continue
    for (const pair of (headers[at + 1] ?? '').split(';')) {
      const text = pair.trim()
      if (text.length !== PREFIX.length + AGENT_KEY_LENGTH || !text.startsWith(PREFIX)) continue
      const key = text.slice(PREFIX.length)
      if (!keys.has(key)) keys.set(key, keys.size)
    }
  }
  return keys
}
