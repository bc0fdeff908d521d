/** The certificates of the ports, and when they end. */
import type { JSX } from 'preact'

import type { CertificateItem } from '../console-contract.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { useList } from './resource.ts'
import { type Column, FilteredTable, itemsOf } from './table.tsx'
import { List, Until } from './texts.tsx'

/** A certificate that ends sooner needs attention, ms. */
const SOON_MS = 14 * 86_400_000

const COLUMNS: readonly Column<CertificateItem>[] = [
  { name: 'Port', of: ({ listener }) => listener },
  { name: 'Names', of: ({ names }) => <List texts={names} /> },
  {
    name: 'Ends',
    of: ({ expires }) => {
      const leftMs = Date.parse(expires) - Date.now()
      const outcome = leftMs < 0 ? 'bad' : leftMs < SOON_MS ? 'warn' : 'ok'
      return (
        <span class="state">
          <OutcomeIcon outcome={outcome} word={outcome === 'ok' ? '' : 'needs attention:'} />{' '}
          <Until time={expires} />
        </span>
      )
    },
  },
  {
    name: 'Asks for client certificates',
    of: ({ wantsClientCertificate }) => (wantsClientCertificate ? 'yes' : 'no'),
    isMinor: true,
  },
  { name: 'Serial number', of: ({ serial }) => <code>{serial}</code>, isMinor: true },
]

export function Certificates(): JSX.Element {
  return (
    <>
      <h2 tabIndex={-1}>Certificates</h2>
      <FilteredTable
        resource={useList<CertificateItem>('certificates')}
        rowsOf={itemsOf}
        label="Certificates"
        columns={COLUMNS}
        keyOf={({ listener, serial }) => `${listener} ${serial}`}
        textOf={({ listener, names, serial }) => [listener, serial, ...names].join(' ')}
        empty={
          <>
            <p>No port of this node speaks TLS.</p>
            <p class="muted">
              The settings <code>proxy.tls</code>, <code>upstream.tls</code> and{' '}
              <code>admin.tls</code> give it certificates.
            </p>
          </>
        }
      />
    </>
  )
}
