import { describeAudit } from '../../commands/audit-view.ts'
import { AUDIT_EVENTS, type AuditLog } from '../../store/audit-log.ts'
import { ApiError } from './api-error.ts'
import { type ApiRoute, shapeOf } from './api-route.ts'
import type { ObjectShape } from './json-shape.ts'
import { limitOf, PAGE_QUERY, pageShape } from './paging.ts'

/** RFC 3339 section 5.6. Date.parse takes other texts too, and those without a zone as local times. */
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

/** An event as the API and `--json` show it. */
export const AUDIT_SHAPE: ObjectShape = {
  type: 'object',
  description: 'An event of the audit log; its further members depend on its kind.',
  properties: {
    time: { type: 'string', format: 'date-time' },
    event: { type: 'string' },
  },
  required: ['time', 'event'],
  additionalProperties: true,
}

/** The route of the audit log. */
export function auditRoutes(audit: AuditLog): ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/audit',
      summary: 'Reads the audit log, newest event first.',
      query: {
        ...PAGE_QUERY,
        event: {
          type: 'string',
          enum: AUDIT_EVENTS,
          description: 'Only events of this kind.',
        },
        since: {
          type: 'string',
          maxLength: 40,
          format: 'date-time',
          description: 'Only events from this time on.',
        },
      },
      answers: { 200: { text: 'A page of events.', shape: pageShape(shapeOf('AuditEvent')) } },
      errors: [],
      run: async (call) => {
        const { event, since, after } = call.query
        const limit = limitOf(call)
        // What has just happened is seen at once. A store that cannot be written can still be read.
        await audit.flush().catch(() => {})
        const found = await audit.read({
          ...(event !== undefined && { event: String(event) }),
          ...(since !== undefined && { since: timeOf(String(since)) }),
          ...(after !== undefined && { before: numberOf(String(after)) }),
          limit: limit + 1,
        })
        const items = found.toReversed().slice(0, limit)
        const last = items.at(-1)
        const next = found.length > limit && last !== undefined && { next: String(last.number) }
        return { body: { items: items.map(describeAudit), ...next } }
      },
    },
  ]
}

function timeOf(text: string): number {
  const time = DATE_TIME.test(text) ? Date.parse(text) : NaN
  if (!Number.isNaN(time)) return time
  throw new ApiError('query-invalid', 'since: must be a time such as 2026-01-31T12:00:00Z', {
    field: 'since',
  })
}

function numberOf(text: string): number {
  const number = Number(text)
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(number)) return number
  throw new ApiError('query-invalid', 'after: is not the next of a page', { field: 'after' })
}
