import { ApiError } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import type { ChangeFeed } from './change-feed.ts'

/** The route of the stream of changes. */
export function eventRoutes(changes: ChangeFeed): ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/events',
      summary:
        'Streams what has changed, as events of the kind changed: {"topics": ["agents"]}. With Last-Event-ID it goes on behind that event.',
      answers: {
        200: {
          text: 'A stream that does not end by itself.',
          shape: { type: 'string' },
          type: 'text/event-stream',
        },
      },
      errors: ['limit-reached'],
      run: async ({ request: { headers, method } }) => {
        if (method === 'HEAD') return { body: '' }
        const last = headers['last-event-id']
        const stream = changes.stream(typeof last === 'string' ? last : undefined)
        if (stream === undefined) {
          throw new ApiError('limit-reached', 'the console is open in too many tabs')
        }
        return { body: undefined, stream }
      },
    },
  ]
}
