/**
 * Tells pages what has changed, not how: a page reads what it shows again. So one number for each kind of thing is
 * all that is kept, and a page that was away gets what it missed however long that was.
 */
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'

import { streamToPage } from '@proj/program-kit'

import type { AuditEvent } from '../../store/audit-log.ts'

/** Kinds of things, by the paths of their lists. */
export const TOPICS = [
  'agents',
  'endpoints',
  'ports',
  'reservations',
  'domains',
  'tokens',
  'audit',
] as const

/** One of {@link TOPICS}. */
export type Topic = (typeof TOPICS)[number]

/** Streams at once, of all pages. */
export const MAX_STREAMS = 32

/** A stream ends after this, ms: the page comes back, and its credentials are judged again. */
const STREAM_MS = 300_000

/** What events of the audit log say has changed, by the first part of their names. */
const BY_AUDIT: ReadonlyMap<string, Topic> = new Map([
  ['token', 'tokens'],
  ['name', 'reservations'],
  ['domain', 'domains'],
  ['port', 'ports'],
  ['agent', 'agents'],
])

/** The changes of a server. */
export class ChangeFeed {
  /** Names this start: numbers of another one say nothing. */
  readonly #boot = randomBytes(6).toString('hex')
  /** When each of them last changed. */
  readonly #changedAt = new Map<Topic, number>()
  readonly #watchers = new Set<() => void>()
  #seq = 0

  /** Streams that are open. */
  get streams(): number {
    return this.#watchers.size
  }

  /** Something has changed. */
  note(...topics: readonly Topic[]): void {
    this.#seq += 1
    for (const topic of topics) this.#changedAt.set(topic, this.#seq)
    for (const changed of this.#watchers) changed()
  }

  /** An event was written to the audit log. */
  readonly noteAudit = (event: AuditEvent): void => {
    const topic = BY_AUDIT.get(event.split('.')[0] ?? '')
    if (topic === undefined) this.note('audit')
    else this.note('audit', topic)
  }

  /** Streams changes to a page, beginning behind its last event. @returns false: there are too many streams. */
  stream(lastEventId: string | undefined): ((response: ServerResponse) => void) | undefined {
    if (this.#watchers.size >= MAX_STREAMS) return undefined
    const [, boot, seq] = /^([\da-f]+)-(\d{1,15})$/.exec(lastEventId ?? '') ?? []
    let sent = boot === this.#boot ? Number(seq) : undefined
    return (response) => {
      streamToPage(
        response,
        {
          watch: (changed) => {
            this.#watchers.add(changed)
            return () => this.#watchers.delete(changed)
          },
          flush: (write) => {
            const topics = sent === undefined ? TOPICS : this.#since(sent)
            const isNew = sent !== this.#seq
            sent = this.#seq
            if (isNew) {
              const data = JSON.stringify({ topics })
              write(`id: ${this.#boot}-${sent}\nevent: changed\ndata: ${data}\n\n`)
            }
            return true
          },
        },
        AbortSignal.timeout(STREAM_MS),
      )
    }
  }

  #since(seq: number): Topic[] {
    return TOPICS.filter((topic) => (this.#changedAt.get(topic) ?? 0) > seq)
  }
}
