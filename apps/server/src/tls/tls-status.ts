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
export function describeTls(ports: readonly TlsPortStatus[]): unknown {
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

/** TLS as Prometheus text; empty when no port speaks it. */
export function formatTlsMetrics(ports: readonly TlsPortStatus[]): string {
  if (ports.length === 0) return ''
  const now = Date.now()
  const expiry = ports.flatMap(({ name, front }) =>
    front.material.certificates.map((certificate) => {
      const { names, serial } = describeCertificate(certificate)
      const left = Math.round((Date.parse(certificate.validTo) - now) / 1000)
      const labels = { listener: name, name: names[0] ?? '', serial }
      return `adit_tls_certificate_expiry_seconds${formatLabels(labels)} ${left}`
    }),
  )
  const handshakes = ports.flatMap(({ name, front }) =>
    Object.entries(front.results).map(
      ([result, count]) =>
        `adit_tls_handshakes_total${formatLabels({ listener: name, result })} ${count}`,
    ),
  )
  const running = ports.map(
    ({ name, front }) =>
      `adit_tls_handshakes_in_progress${formatLabels({ listener: name })} ${front.inProgress}`,
  )
  return [
    '# HELP adit_tls_certificate_expiry_seconds Time a certificate is still valid; negative: expired.',
    '# TYPE adit_tls_certificate_expiry_seconds gauge',
    ...expiry,
    '# HELP adit_tls_handshakes_total Handshakes by how they came out.',
    '# TYPE adit_tls_handshakes_total counter',
    ...handshakes,
    '# HELP adit_tls_handshakes_in_progress Connections that have not got through yet.',
    '# TYPE adit_tls_handshakes_in_progress gauge',
    ...running,
    '',
  ].join('\n')
}

/** Labels as Prometheus escapes them. */
function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    return `${name}="${escaped}"`
  })
  return `{${pairs.join(',')}}`
}
