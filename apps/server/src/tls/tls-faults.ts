/** What can be wrong with the files of TLS. Codes are stable. */
export type TlsFaultCode =
  | 'TLS_FILE_UNREADABLE'
  | 'TLS_CERTIFICATE_INVALID'
  | 'TLS_CERTIFICATE_OUT_OF_DATE'
  | 'TLS_CRL_INVALID'
  | 'TLS_KEY_INVALID'
  | 'TLS_KEY_ENCRYPTED'
  | 'TLS_KEY_MISMATCH'
  | 'TLS_PAIR_REFUSED'

/** What to do about each. */
export const TLS_FAULTS: Readonly<Record<TlsFaultCode, string>> = Object.freeze({
  TLS_FILE_UNREADABLE: 'check the path, and that the user of the server may read it',
  TLS_CERTIFICATE_INVALID:
    'it has to hold PEM: -----BEGIN CERTIFICATE-----, the certificate of the server first',
  TLS_CERTIFICATE_OUT_OF_DATE: 'renew it, or set the clock of this machine',
  TLS_CRL_INVALID: 'it has to hold PEM: -----BEGIN X509 CRL-----',
  TLS_KEY_INVALID: 'it has to hold PEM: -----BEGIN PRIVATE KEY-----',
  TLS_KEY_ENCRYPTED: 'the server cannot ask for a passphrase: openssl pkey -in FILE -out PLAIN',
  TLS_KEY_MISMATCH:
    'cert and key have to come from the same request; the certificate of the server comes first',
  TLS_PAIR_REFUSED: 'use a certificate of RSA with 2048 bits or more, or of ECDSA',
})

/** One mistake in the files of TLS. */
export class TlsFault extends Error {
  override readonly name = 'TlsFault'
  /** What kind it is. */
  readonly code: TlsFaultCode
  /** The setting that names the file. */
  readonly setting: 'cert' | 'key' | 'client_cas' | 'client_crl'

  constructor(code: TlsFaultCode, setting: TlsFault['setting'], message: string) {
    super(message)
    this.code = code
    this.setting = setting
  }

  /** What to do about it. */
  get hint(): string {
    return TLS_FAULTS[this.code]
  }
}
