import {
  duration,
  integer,
  list,
  oneOf,
  path,
  type Resolved,
  type RuleProblem,
  setting,
  type Setting,
} from '@proj/config'

/** Settings of TLS on one port, its group `tls`. Without a certificate the port is plain. */
export const TLS_SETTINGS: {
  /** Certificates with their chains; one for each name that visitors ask for. */
  readonly cert: Setting<readonly string[]>
  /** Their private keys, in the same order. */
  readonly key: Setting<readonly string[]>
  /** Authorities of client certificates; when set, clients need one. */
  readonly clientCas: Setting<string | undefined>
  /** Revoked certificates of clients. */
  readonly clientCrl: Setting<string | undefined>
  /** Oldest version that is accepted. */
  readonly minVersion: Setting<'TLSv1.2' | 'TLSv1.3'>
  /** Time for a handshake, from the connection to its end. */
  readonly handshakeTimeoutMs: Setting<number>
  /** Handshakes that may run at once on one port. */
  readonly maxHandshakes: Setting<number>
} = {
  cert: setting(list(path(), { maxItems: 100 }), {
    default: [],
    reload: 'live',
    description:
      'Certificate with its chain, PEM; several, for several names, in a list. Unset: no TLS.',
  }),
  key: setting(list(path(), { maxItems: 100 }), {
    default: [],
    reload: 'live',
    description: 'Private key of the certificate, PEM, not encrypted; a list like cert.',
  }),
  clientCas: setting(path(), {
    reload: 'live',
    description: 'Authorities of client certificates, PEM; when set, clients need one.',
  }),
  clientCrl: setting(path(), {
    reload: 'live',
    description:
      'Revoked client certificates: a CRL of each authority in client_cas, PEM. Read again when it changes.',
  }),
  minVersion: setting(oneOf(['TLSv1.2', 'TLSv1.3']), {
    default: 'TLSv1.2',
    reload: 'live',
    description: 'Oldest version that is accepted.',
  }),
  handshakeTimeoutMs: setting(duration({ min: '10ms', max: '2m' }), {
    default: '10s',
    description: 'From the connection to the end of its handshake; then it is cut.',
  }),
  maxHandshakes: setting(integer({ min: 1, max: 100_000 }), {
    default: '1000',
    description: 'Handshakes at once; one more cuts the oldest.',
  }),
}

/** The values of `TLS_SETTINGS`. */
export type TlsSettings = Resolved<typeof TLS_SETTINGS>

/** Names of the ports that can use TLS. */
export const TLS_PORTS: readonly ['proxy', 'upstream', 'admin'] = ['proxy', 'upstream', 'admin']

/** Settings of all of them, as the settings of the server have them. */
export type TlsPortSettings = Readonly<
  Record<(typeof TLS_PORTS)[number], { readonly tls: TlsSettings }>
>

/** A rule for `defineSettings`: who may connect an agent or visit is not meant to operate the server by that. */
export function* operatorsHaveTheirAuthority(
  ports: Readonly<
    Record<(typeof TLS_PORTS)[number], { readonly tls: Pick<TlsSettings, 'clientCas'> }>
  >,
): Generator<RuleProblem> {
  const own = ports.admin.tls.clientCas
  for (const name of TLS_PORTS) {
    if (own === undefined || name === 'admin' || ports[name].tls.clientCas !== own) continue
    yield {
      key: 'admin.tls.client_cas',
      severity: 'warning',
      message: `it is that of ${name}.tls: every certificate for the ${name} port may do everything at the admin port`,
      hint: 'use an authority that issues to operators only',
    }
  }
}

/** A rule for `defineSettings`: what can be checked without reading files. */
export function* tlsFitsTogether(
  name: string,
  {
    cert,
    key,
    clientCas,
    clientCrl,
  }: Pick<TlsSettings, 'cert' | 'key' | 'clientCas'> & Partial<Pick<TlsSettings, 'clientCrl'>>,
): Generator<RuleProblem> {
  if (cert.length > key.length) {
    const message = `${cert.length} in cert, ${key.length} in key: a certificate needs its key`
    yield { key: `${name}.tls.cert`, message, hint: `set ${name}.tls.key` }
  }
  if (key.length > cert.length) {
    const message = `${key.length} in key, ${cert.length} in cert: a key needs its certificate`
    yield { key: `${name}.tls.key`, message, hint: `set ${name}.tls.cert` }
  }
  if (clientCas !== undefined && cert.length === 0 && key.length === 0) {
    const message = 'only TLS can ask for client certificates, and this port has no certificate'
    yield {
      key: `${name}.tls.client_cas`,
      message,
      hint: `set ${name}.tls.cert and ${name}.tls.key`,
    }
  }
  if (clientCrl !== undefined && clientCas === undefined) {
    const message = 'a list of revoked client certificates needs their authorities'
    yield { key: `${name}.tls.client_crl`, message, hint: `set ${name}.tls.client_cas` }
  }
}
