import { createBodyReader } from '../src/body-reader.ts'
import { HttpError, type HttpFault } from '../src/errors.ts'
import { addsChunks, rewriteResponseHead } from '../src/forward-response.ts'
import type { Strictness } from '../src/repair-lines.ts'
import { type RequestContext, ResponseHeadReader } from '../src/response-head.ts'

/** What an intermediary sends for a response, and whether its connection is used again. */
export interface Forwarded {
  head: string
  /** As it is sent: with chunks, where it has some. */
  body: string
  payload: string
  isKept: boolean
  isDone: boolean
  /** Bytes of the response, head included. */
  taken: number
  repaired: HttpFault | undefined
}

/** Forwards a response; a fault where it is rejected, undefined where its head does not end. */
export function forward(
  chunks: readonly Buffer[],
  strictness: Strictness = 'lenient',
  request: RequestContext = { method: 'GET' },
): Forwarded | HttpFault | undefined {
  const reader = new ResponseHeadReader()
  let result: Forwarded | undefined
  let body: ReturnType<typeof createBodyReader> | undefined
  try {
    for (const chunk of chunks) {
      let rest = chunk
      if (result === undefined) {
        const read = reader.push(chunk, request, strictness)
        if (read === undefined) continue
        const { head } = read
        rest = read.rest
        body = createBodyReader(head.framing, 'response', undefined, strictness)
        result = {
          head: rewriteResponseHead(head, { versionMinor: 1, keepAlive: true }),
          body: '',
          payload: '',
          isKept: head.keepAlive,
          isDone: false,
          taken: 0,
          repaired: head.repaired,
        }
        result.taken = chunks
          .slice(0, chunks.indexOf(chunk))
          .reduce((sum, one) => sum + one.length, 0)
        result.taken += chunk.length - rest.length
        // Chunks that the intermediary makes differ with the division: their payload is compared.
        if (addsChunks(head.framing, 1)) result.body = '(chunks)'
      }
      const sent = result
      const end = body?.scan(rest, 0, (piece) => (sent.payload += piece.toString('latin1'))) ?? 0
      const bytes = body?.rewritten(rest) ?? rest.subarray(0, end)
      if (sent.body !== '(chunks)') sent.body += bytes.toString('latin1')
      sent.taken += end
      sent.repaired ??= body?.repaired
      sent.isDone = body?.done === true
      sent.isKept &&= body?.repaired === undefined
    }
    return result
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    return error.fault
  }
}

/** The body of a response with the chunks that the intermediary makes, where it makes them. */
export function bodyOf({ body, payload }: Forwarded): string {
  if (body !== '(chunks)') return body
  const chunk = `${payload.length.toString(16)}\r\n${payload}\r\n`
  return payload === '' ? '0\r\n\r\n' : `${chunk}0\r\n\r\n`
}
