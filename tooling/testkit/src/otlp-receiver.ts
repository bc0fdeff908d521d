// An OTLP/HTTP receiver: keeps what it gets.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'

import { listening } from './listening.ts'

interface Encoded {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: string }
}

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly Encoded[]
  readonly events: readonly { readonly name: string; readonly timeUnixNano: string }[]
  readonly status: { readonly code?: number }
}

export interface Receiver extends AsyncDisposable {
  readonly url: string
  readonly spans: ReceivedSpan[]
  readonly requests: { readonly path: string | undefined; readonly headers: IncomingHttpHeaders }[]
  readonly resources: Record<string, string | undefined>[]
}

/** @param statuses - of its first answers; then 200. */
export async function startReceiver(statuses: number[] = []): Promise<Receiver> {
  const found: Pick<Receiver, 'spans' | 'requests' | 'resources'> = {
    spans: [],
    requests: [],
    resources: [],
  }
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    request.on('end', () => answer(text, request, response))
  })
  const answer = (text: string, request: IncomingMessage, response: ServerResponse): void => {
    found.requests.push({ path: request.url, headers: request.headers })
    const status = statuses.shift() ?? 200
    if (status === 200) {
      for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
        found.resources.push(attributesOf(resource))
        for (const { spans } of scopeSpans) found.spans.push(...spans)
      }
    }
    response.writeHead(status, { location: '/elsewhere', 'content-type': 'application/json' })
    response.end('{}')
  }
  const at = await listening(server)
  return {
    ...found,
    url: `http://127.0.0.1:${at.port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await at.close()
    },
  }
}

/** Attributes by name; numbers as text. */
export function attributesOf({
  attributes,
}: Pick<ReceivedSpan, 'attributes'>): Record<string, string | undefined> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]),
  )
}
