/** Tokens: who may use the server, and for what. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'

import type { AgentItem, NewToken, TokenItem } from '../console-contract.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { CopyButton, Foreign } from '../parts/text.tsx'
import { change } from './api.ts'
import { ask, mayChange } from './confirm.tsx'
import { Field, FormDialog } from './form.tsx'
import { reloadShown, useList } from './resource.ts'
import { notice } from './session.ts'
import { type Column, FilteredTable } from './table.tsx'
import { Ago, List, Until } from './texts.tsx'

const RIGHTS = ['listen', 'connect', 'admin'] as const
const MEANINGS = {
  listen: 'serve endpoints',
  connect: 'connect to endpoints',
  admin: 'use this console and the API',
} as const

const STATES = {
  good: ['ok', 'good'],
  expired: ['off', 'expired'],
  revoked: ['off', 'revoked'],
} as const

export function Tokens(): JSX.Element {
  const [isMaking, setMaking] = useState(false)
  const [made, setMade] = useState<NewToken>()
  const [scoped, setScoped] = useState<TokenItem>()
  const columns: readonly Column<TokenItem>[] = [
    {
      name: 'Token',
      of: ({ id, name }) => (
        <>
          {name !== '' && (
            <>
              <b>
                <Foreign text={name} />
              </b>{' '}
            </>
          )}
          <code>{id}</code>
        </>
      ),
    },
    {
      name: 'State',
      of: ({ state }) => (
        <span class="state">
          <OutcomeIcon outcome={STATES[state][0]} word="" /> {STATES[state][1]}
        </span>
      ),
    },
    { name: 'May', of: ({ may }) => <List texts={may} />, isMinor: true },
    { name: 'Endpoints', of: ({ endpoints }) => <List texts={endpoints} />, isMinor: true },
    {
      name: 'Tenant',
      of: ({ tenant }) =>
        tenant === '' ? <span class="muted">–</span> : <Foreign text={tenant} />,
      isMinor: true,
    },
    {
      name: 'Ends',
      of: ({ expires }) => (expires === null ? 'never' : <Until time={expires} />),
      isMinor: true,
    },
    {
      name: 'Last use',
      of: ({ lastUse }) => (lastUse === null ? 'never' : <Ago time={lastUse} />),
      isMinor: true,
    },
    {
      name: 'Actions',
      of: (token) =>
        token.state === 'revoked' ? (
          <span class="muted">–</span>
        ) : (
          <span class="actions">
            <button type="button" onClick={() => mayChange() && setScoped(token)}>
              Change <span class="hidden-text">{token.id}</span>
            </button>
            <button type="button" onClick={() => revoke(token)}>
              Revoke <span class="hidden-text">{token.id}</span>
            </button>
          </span>
        ),
    },
  ]
  return (
    <>
      <h2 tabIndex={-1}>Tokens</h2>
      {made !== undefined && <Made token={made} onDone={() => setMade(undefined)} />}
      <FilteredTable
        resource={useList<TokenItem>('tokens')}
        rowsOf={({ items }) => items.toReversed()}
        label="Tokens"
        columns={columns}
        keyOf={({ id }) => id}
        textOf={({ id, name, tenant, may, endpoints, state, identity }) =>
          [id, name, tenant, identity, state, ...may, ...endpoints].join(' ')
        }
        tools={
          <button type="button" class="main" onClick={() => setMaking(mayChange())}>
            Make a token
          </button>
        }
        empty={
          <p>
            There is no token. With the first one every port of the server asks for credentials.
          </p>
        }
      />
      {isMaking && <Scope onClose={() => setMaking(false)} onMade={setMade} />}
      {scoped !== undefined && <Scope token={scoped} onClose={() => setScoped(undefined)} />}
    </>
  )
}

/** What revoking a token does, with the sessions that it has now. */
function Consequence({ token }: { readonly token: TokenItem }): JSX.Element {
  const agents = useList<AgentItem>('agents').value.value
  const sessions = new Set(
    agents?.items.filter(({ identity }) => identity === token.identity).map((one) => one.session),
  )
  return (
    <p>
      Whatever shows <Foreign text={token.name === '' ? token.id : token.name} /> is rejected from
      now on, and that cannot be undone.{' '}
      {agents === undefined
        ? 'Its sessions end within seconds.'
        : sessions.size === 0
          ? 'No session of an agent uses it now.'
          : `${sessions.size === 1 ? 'One session of an agent uses' : `${sessions.size} sessions of agents use`} it and will be cut off within seconds.`}
    </p>
  )
}

function revoke(token: TokenItem): void {
  const name = token.name === '' ? token.id : token.name
  ask({
    title: 'Revoke a token',
    text: <Consequence token={token} />,
    verb: `Revoke ${name}`,
    done: `${name} is revoked.`,
    run: async () => await change('DELETE', `tokens/${encodeURIComponent(token.id)}`),
  })
}

/** The only time that a token is shown. */
function Made({
  token,
  onDone,
}: {
  readonly token: NewToken
  readonly onDone: () => void
}): JSX.Element {
  return (
    <section class="made" aria-labelledby="made-title">
      <h3 id="made-title">
        The token <Foreign text={token.name === '' ? token.id : token.name} />
      </h3>
      <p>It is shown this once: the server keeps only its hash.</p>
      <p class="once">
        <code dir="ltr">{token.token}</code> <CopyButton text={token.token} />
      </p>
      <button type="button" class="main" onClick={onDone}>
        I have copied it
      </button>
    </section>
  )
}

/** Makes a token, or changes what one allows. */
function Scope({
  token,
  onClose,
  onMade,
}: {
  readonly token?: TokenItem
  readonly onClose: () => void
  readonly onMade?: (token: NewToken) => void
}): JSX.Element {
  const [name, setName] = useState(token?.name ?? '')
  const [may, setMay] = useState<ReadonlySet<string>>(new Set(token?.may ?? ['listen']))
  const [endpoints, setEndpoints] = useState(token?.endpoints.join(' ') ?? '')
  const [expires, setExpires] = useState('90d')
  const [tenant, setTenant] = useState('')
  const send = async (): Promise<void> => {
    const scope = {
      name: name.trim(),
      may: [...may],
      endpoints: endpoints.split(/[\s,]+/).filter(Boolean),
    }
    if (token === undefined) {
      const given = {
        expires: expires.trim(),
        ...(tenant.trim() !== '' && { tenant: tenant.trim() }),
      }
      onMade?.(await change<NewToken>('POST', 'tokens', { ...scope, ...given }))
    } else {
      await change('PATCH', `tokens/${encodeURIComponent(token.id)}`, scope)
      notice.value = `${token.id} is changed; its sessions end and connect again.`
    }
    void reloadShown()
  }
  return (
    <FormDialog
      title={token === undefined ? 'Make a token' : `Change ${token.id}`}
      verb={token === undefined ? 'Make' : 'Change'}
      onClose={onClose}
      onSend={send}
    >
      <Field name="Name" value={name} onValue={setName} hint="For people, for example: printers" />
      <fieldset class="field">
        <legend>May</legend>
        {RIGHTS.map((right) => (
          <label key={right}>
            <input
              type="checkbox"
              checked={may.has(right)}
              onChange={({ currentTarget }) => {
                const next = new Set(may)
                if (currentTarget.checked) next.add(right)
                else next.delete(right)
                setMay(next)
              }}
            />{' '}
            {right} <span class="muted">{MEANINGS[right]}</span>
          </label>
        ))}
      </fieldset>
      <Field
        name="Endpoints"
        value={endpoints}
        onValue={setEndpoints}
        hint="Names or patterns such as pc*, with spaces between them; * is all"
      />
      {token === undefined && (
        <>
          <Field
            name="Valid for"
            value={expires}
            onValue={setExpires}
            isRequired
            hint="A duration such as 30d or 12h; inf: for ever"
          />
          <Field name="Tenant" value={tenant} onValue={setTenant} hint="Empty: none" />
        </>
      )}
    </FormDialog>
  )
}
