/** Names that are kept for an identity. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'

import type { EndpointItem, ReservationItem } from '../console-contract.ts'
import { Foreign } from '../parts/text.tsx'
import { change, read } from './api.ts'
import { ask, mayChange } from './confirm.tsx'
import { Field, FormDialog } from './form.tsx'
import { reloadShown, useList } from './resource.ts'
import { notice } from './session.ts'
import { type Column, FilteredTable, itemsOf } from './table.tsx'
import { Ago, endpointName } from './texts.tsx'

export function Names(): JSX.Element {
  const [isOpen, setOpen] = useState(false)
  const served = useList<EndpointItem>('endpoints')
  const columns: readonly Column<ReservationItem>[] = [
    { name: 'Name', of: (row) => <Foreign text={endpointName(row.endpoint, row.tenant)} /> },
    { name: 'Kind', of: ({ kind, port }) => (port === undefined ? kind : `${kind}, port ${port}`) },
    { name: 'Reserved for', of: ({ identity }) => <Foreign text={identity} /> },
    { name: 'Since', of: ({ since }) => <Ago time={since} />, isMinor: true },
    {
      name: 'Actions',
      of: (row) => (
        <button type="button" onClick={() => release(row, sessionsOf(row))}>
          Release <span class="hidden-text">{row.endpoint}</span>
        </button>
      ),
    },
  ]
  const sessionsOf = ({ endpoint, tenant }: ReservationItem): number =>
    served.value.value?.items.find((one) => one.endpoint === endpoint && one.tenant === tenant)
      ?.sessions ?? 0
  return (
    <>
      <h2 tabIndex={-1}>Names</h2>
      <FilteredTable
        resource={useList<ReservationItem>('reservations')}
        rowsOf={itemsOf}
        label="Names"
        columns={columns}
        keyOf={({ endpoint, tenant }) => `${tenant}/${endpoint}`}
        textOf={({ endpoint, tenant, identity, kind }) =>
          `${tenant} ${endpoint} ${identity} ${kind}`
        }
        tools={
          <button type="button" class="main" onClick={() => setOpen(mayChange())}>
            Reserve a name
          </button>
        }
        empty={
          <p>
            No name is reserved. A name that is not reserved belongs to the agent that serves it, as
            long as it does.
          </p>
        }
      />
      {isOpen && <Reserve onClose={() => setOpen(false)} />}
    </>
  )
}

function release({ endpoint, tenant, identity }: ReservationItem, sessions: number): void {
  const name = endpointName(endpoint, tenant)
  ask({
    title: 'Release a name',
    text: (
      <p>
        <Foreign text={name} /> is not kept for <Foreign text={identity} /> any more: each identity
        that may serve it can take it.{' '}
        {sessions > 0
          ? `${sessions === 1 ? 'One session serves' : `${sessions} sessions serve`} it now and will go on.`
          : 'Nothing serves it now.'}
      </p>
    ),
    verb: `Release ${name}`,
    done: `${name} is released.`,
    run: async () => {
      const path = pathOf(endpoint, tenant)
      const now = await read<ReservationItem>(path, '')
      // The question was about this identity: what another one has reserved meanwhile stays.
      if (now?.value.identity !== identity) throw new Error(`${name} has another owner now.`)
      await change('DELETE', path, undefined, { 'if-match': now.etag })
    },
  })
}

function pathOf(name: string, tenant: string): string {
  const query = tenant === '' ? '' : `?${new URLSearchParams({ tenant })}`
  return `reservations/${encodeURIComponent(name)}${query}`
}

function Reserve({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const [name, setName] = useState('')
  const [identity, setIdentity] = useState('')
  const [tenant, setTenant] = useState('')
  const [kind, setKind] = useState('http')
  return (
    <FormDialog
      title="Reserve a name"
      verb="Reserve"
      onClose={onClose}
      onSend={async () => {
        await change('PUT', pathOf(name.trim(), tenant.trim()), { identity: identity.trim(), kind })
        notice.value = `${name.trim()} is reserved.`
        void reloadShown()
      }}
    >
      <Field name="Name" value={name} onValue={setName} isRequired hint="For example: web" />
      <Field
        name="Identity"
        value={identity}
        onValue={setIdentity}
        isRequired
        hint="Who may serve it: token:ID, or the sub of a JWT"
      />
      <Field name="Tenant" value={tenant} onValue={setTenant} hint="Empty: none" />
      <p class="field">
        <label>
          Kind{' '}
          <select value={kind} onChange={({ currentTarget }) => setKind(currentTarget.value)}>
            <option>http</option>
            <option>tcp</option>
          </select>
        </label>
      </p>
    </FormDialog>
  )
}
