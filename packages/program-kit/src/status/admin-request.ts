/** Requests to a server's admin port, plain or with TLS, with a given authority and client certificate. */
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestSecure } from 'node:https'

import { path, setting, type Setting } from '@proj/config'

import { readCertificates, readPem } from '../process/read-pem.ts'

/** Most bytes of an answer: the list of some hundred thousand endpoints. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** Flags of every command that asks an admin port: files in PEM. */
export const ADMIN_TLS_FLAGS: {
  readonly ca: Setting<string | undefined>
  /** Client certificate to show, PEM. */
  readonly cert: Setting<string | undefined>
  /** Private key of the client certificate, PEM. */
  readonly key: Setting<string | undefined>
} = {
  ca: setting(path(), {
    description: 'Authority of its certificate, PEM; without it, the usual ones.',
  }),
  cert: setting(path(), { description: 'Client certificate to show, PEM, where it asks for one.' }),
  key: setting(path(), { description: 'Private key of the client certificate, PEM.' }),
}

/** Files to trust and to show; undefined: the usual authorities, and nothing. */
export interface AdminTlsFiles {
  /** Authorities to trust instead of the usual ones, PEM. */
  readonly ca?: string | undefined
  /** Client certificate to show, PEM. */
  readonly cert?: string | undefined
  /** Private key of the client certificate, PEM. */
  readonly key?: string | undefined
}

export type AdminRequest = (
  url: URL,
  options: { readonly signal: AbortSignal; readonly headers?: Readonly<Record<string, string>> },
) => Promise<Response>

/** An answer that is longer than any of an admin port. */
export class AdminAnswerError extends Error {
  override readonly name = 'AdminAnswerError'
  readonly code = 'ADMIN_ANSWER_TOO_LONG'

  constructor(maxBytes: number) {
    super(`the answer is longer than ${maxBytes} bytes`)
  }
}

/**
 * Reads the files, once for all requests.
 *
 * @param maxBytes - most bytes of an answer; one with more is rejected with AdminAnswerError. Default 64 MiB.
 * @throws {UserError} exit code 2 for a file that cannot be read.
 */
export async function adminRequests(
  files: AdminTlsFiles,
  maxBytes: number = MAX_ANSWER_BYTES,
): Promise<AdminRequest> {
  const [ca, cert, key] = await Promise.all([
    readCertificates('--ca', files.ca),
    readPem('--cert', files.cert),
    readPem('--key', files.key),
  ])
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
  return async (url, { signal, headers = {} }) =>
    await new Promise((resolve, reject) => {
      const options = { signal, headers, agent: false } as const
      const asked =
        url.protocol === 'https:'
          ? requestSecure(url, { ...options, ...tls })
          : requestPlain(url, options)
      asked.once('error', reject)
      asked.once('response', (answer) => {
        const { statusCode: status = 500 } = answer
        readUpTo(maxBytes, answer).then((body) => resolve(new Response(body, { status })), reject)
      })
      asked.end()
    })
}

async function readUpTo(maxBytes: number, answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Leaving the loop closes the connection.
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new AdminAnswerError(maxBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
