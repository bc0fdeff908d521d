import type { Metric, ServerPages } from '@proj/program-kit'

import { describeCertificate } from './certificates.ts'
import type { TlsFront } from './tls-front.ts'

/** One port that speaks TLS. */
export interface TlsPortStatus {
  /** Name of the port. */
  readonly name: string
  /** What speaks TLS there. */
  readonly front: TlsFront
}

/** The admin page `/status/tls`: by port its certificates and how handshakes came out. */
export function describeTls(ports: readonly TlsPortStatus[]): ServerPages['/status/tls'] {
  const described = ports.map(({ name, front }) => [
    name,
    {
      certificates: front.material.certificates.map(describeCertificate),
      wantsClientCertificate: front.material.wantsCertificate,
      handshakes: { inProgress: front.inProgress, ...front.results },
    },
  ])
  return Object.fromEntries(described)
}

/** TLS as metrics; none when no port speaks it. */
export function tlsMetrics(ports: readonly TlsPortStatus[]): readonly Metric[] {
  const now = Date.now()
  return [
    {
      type: 'gauge',
      name: 'adit_tls_certificate_expiry_seconds',
      help: 'Time a certificate is still valid; negative: expired.',
      samples: ports.flatMap(({ name, front }) =>
        front.material.certificates.map((certificate) => {
          const { names, serial } = describeCertificate(certificate)
          const left = Math.round((Date.parse(certificate.validTo) - now) / 1000)
          return { labels: { listener: name, name: names[0] ?? '', serial }, value: left }
        }),
      ),
    },
    {
      type: 'counter',
      name: 'adit_tls_handshakes_total',
      help: 'Handshakes that ended, by result.',
      samples: ports.flatMap(({ name, front }) =>
        Object.entries(front.results).map(([result, count]) => ({
          labels: { listener: name, result },
          value: count,
        })),
      ),
    },
    {
      type: 'gauge',
      name: 'adit_tls_handshakes_in_progress',
      help: 'Connections whose handshake has not ended.',
      samples: ports.map(({ name, front }) => ({
        labels: { listener: name },
        value: front.inProgress,
      })),
    },
  ]
}
