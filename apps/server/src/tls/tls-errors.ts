/** An answer on a port with TLS, before a request was read. */
interface TlsAnswer {
  /** HTTP status. */
  readonly status: number
  /** What is wrong, as the answer says it. */
  readonly error: string
  /** What the visitor can do. */
  readonly hint: string
}

/** What a port with TLS answers where it takes no request; the key is the code in `adit-error`. */
export const TLS_ERRORS = {
  tls_required: {
    status: 400,
    error: 'this port speaks TLS: use https',
    hint: 'write https:// in place of http://',
  },
  client_certificate_missing: {
    status: 403,
    error: 'a client certificate is required',
    hint: 'show a client certificate that the operator of the server accepts',
  },
  client_certificate_refused: {
    status: 403,
    error: 'the client certificate is not accepted',
    hint: 'renew the certificate, or use one of an authority that the operator of the server accepts',
  },
} as const satisfies Readonly<Record<string, TlsAnswer>>
