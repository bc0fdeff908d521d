/** Replays of an exchange: the answers beside the original, and the editor of one that differs. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

import type { Difference, ExchangeDetail, ExchangeRow, ReplayEdit } from '../contract.ts'
import { formatClock, formatMs } from '../parts/format.ts'
import { OutcomeIcon } from '../parts/pictures.tsx'
import { Foreign } from '../parts/text.tsx'
import { get, post } from './api.ts'
import { BodyView, loadBody } from './body-view.tsx'
import { act, notice, tab } from './acts.ts'
import { differences } from './difference.ts'
import { selected } from './list.tsx'
import { outcomeOf } from './parts.tsx'

/** The replays of an exchange, and what differs. */
export function Replays({
  detail,
  replays,
}: {
  readonly detail: ExchangeDetail
  readonly replays: readonly ExchangeRow[]
}): JSX.Element {
  const [chosen, choose] = useState<number | undefined>(undefined)
  const shown = replays.find(({ id }) => id === chosen) ?? replays[0]
  return (
    <>
      <p class="muted">
        A replay goes from the agent straight to the service: without the tunnel, and without the
        rules for visitors.
      </p>
      {detail.replayNotes.map((note) => (
        <p class="note" key={note}>
          {note}
        </p>
      ))}
      {shown === undefined && <p>It was not replayed yet.</p>}
      {replays.length > 1 && (
        <div class="segments" role="group" aria-label="Replays">
          {replays.slice(0, 8).map((row) => (
            <button
              type="button"
              key={row.id}
              aria-pressed={row === shown}
              onClick={() => choose(row.id)}
            >
              {formatClock(row.startedAt)}
            </button>
          ))}
        </div>
      )}
      {shown !== undefined && <Answer original={detail} id={shown.id} seq={shown.seq} />}
    </>
  )
}

/** The answer to a replay, and how it differs from the original's. */
function Answer({
  original,
  id,
  seq,
}: {
  readonly original: ExchangeDetail
  readonly id: number
  readonly seq: number
}): JSX.Element {
  const [answer, setAnswer] = useState<ExchangeDetail | undefined>(undefined)
  const [found, setFound] = useState<readonly Difference[] | undefined>(undefined)
  const [view, setView] = useState<'answer' | 'difference'>('difference')
  useEffect(() => {
    let isOver = false
    const load = async (): Promise<void> => {
      const [detail, before, after] = await Promise.all([
        get<ExchangeDetail>(`exchanges/${id}`),
        loadBody(original.row.id, 'response'),
        loadBody(id, 'response'),
      ])
      if (isOver) return
      setAnswer(detail)
      const sideOf = ({ row, responseHeaders }: ExchangeDetail, body: Uint8Array) => ({
        status: row.status,
        headers: responseHeaders,
        body,
      })
      setFound(differences(sideOf(original, before.bytes), sideOf(detail, after.bytes)))
    }
    void load().catch(() => {})
    return () => {
      isOver = true
    }
  }, [id, seq, original.row.id])
  const section = useRef<HTMLElement>(null)
  const isLoaded = answer !== undefined
  useEffect(() => section.current?.scrollIntoView({ block: 'nearest' }), [isLoaded])
  if (answer === undefined) return <p class="muted">Loading…</p>
  const { row } = answer
  const was = original.row
  return (
    <section class="answer" aria-label="Answer to the replay" ref={section}>
      <p class="headline">
        <OutcomeIcon outcome={outcomeOf(row)} />
        <b>{row.status ?? row.code ?? row.state}</b>
        {row.waitMs !== undefined && <span>{formatMs(row.waitMs)}</span>}
        <span class="muted">
          was {was.status ?? was.code ?? was.state}
          {was.waitMs !== undefined && `, ${formatMs(was.waitMs)}`}
        </span>
        <button type="button" class="quiet" onClick={() => (selected.value = id)}>
          Open
        </button>
      </p>
      {answer.stopped !== undefined && <p class="note">{answer.stopped}</p>}
      <div class="segments" role="group" aria-label="View of the answer">
        <button
          type="button"
          aria-pressed={view === 'difference'}
          onClick={() => setView('difference')}
        >
          Difference {found?.length ?? ''}
        </button>
        <button type="button" aria-pressed={view === 'answer'} onClick={() => setView('answer')}>
          Answer
        </button>
      </div>
      {view === 'answer' ? (
        <BodyView detail={answer} side="response" />
      ) : (
        <Differences found={found ?? []} />
      )}
    </section>
  )
}

function Differences({ found }: { readonly found: readonly Difference[] }): JSX.Element {
  if (found.length === 0) return <p>The answer is the same.</p>
  return (
    <>
      <ul class="differences">
        {found.map(({ where, name, before, after }, at) => (
          <li key={at}>
            <span class="muted">{where}</span>{' '}
            <b class="mono">
              <Foreign text={name} />
            </b>
            {before !== undefined && (
              <span class="was mono">
                <span aria-hidden="true">− </span>
                <span class="hidden-text">before: </span>
                <Foreign text={before} />
              </span>
            )}
            {after !== undefined && (
              <span class="is mono">
                <span aria-hidden="true">+ </span>
                <span class="hidden-text">now: </span>
                <Foreign text={after} />
              </span>
            )}
          </li>
        ))}
      </ul>
      <p class="muted">
        Not compared: date, age, etag, set-cookie, x-request-id, and headers of the connection.
      </p>
    </>
  )
}

/** Headers that the agent makes for each replay. */
const MADE = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'transfer-encoding',
  'x-request-id',
])

interface EditedHeader {
  readonly name: string
  readonly value: string
  /** Index of the hidden value in the original. */
  readonly keep?: number
}

/** Changes method, path, headers and body, and sends them to the service. */
export function ReplayEditor({ detail }: { readonly detail: ExchangeDetail }): JSX.Element {
  const { row, requestHeaders, requestBody } = detail
  const [method, setMethod] = useState(row.method)
  const [target, setTarget] = useState(row.target)
  const [headers, setHeaders] = useState<readonly EditedHeader[]>(() =>
    requestHeaders.flatMap(({ name, value, hidden }, at) => {
      if (MADE.has(name.toLowerCase())) return []
      return hidden === undefined ? { name, value } : { name, value: '', keep: at }
    }),
  )
  const [body, setBody] = useState<string | undefined>(undefined)
  const [original, setOriginal] = useState<string | undefined>('')
  const [answer, setAnswer] = useState<number | undefined>(undefined)
  const [isSending, setSending] = useState(false)
  const isCut = requestBody.kept < requestBody.bytes
  const isCoded =
    requestBody.bytes > 0 && requestHeaders.some(({ name }) => /^content-encoding$/i.test(name))
  useEffect(() => {
    if (requestBody.kept === 0 || isCut) return
    void loadBody(row.id, 'request').then(
      ({ bytes }) => {
        try {
          setOriginal(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
        } catch {
          setOriginal(undefined)
        }
      },
      () => {},
    )
  }, [row.id])
  const send = async (): Promise<void> => {
    if (isSending) return
    setSending(true)
    await act(async () => {
      const edit: ReplayEdit = {
        method,
        ...(target !== row.target && { target }),
        headers: headers
          .filter(({ name }) => name !== '')
          .map(({ name, value, keep }) => (keep === undefined ? { name, value } : { name, keep })),
        ...(body !== undefined && { body: base64Of(body) }),
      }
      const { id } = await post<{ readonly id: number }>(`exchanges/${row.id}/replay`, { edit })
      setAnswer(id)
      notice.value = ''
    })
    setSending(false)
  }
  const change = (at: number, part: Partial<EditedHeader>): void =>
    setHeaders(headers.map((header, index) => (index === at ? { ...header, ...part } : header)))
  return (
    <form
      class="editor"
      aria-label="Edit and replay"
      onSubmit={(event) => {
        event.preventDefault()
        void send()
      }}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
        event.preventDefault()
        void send()
      }}
    >
      <div class="request-line">
        <input
          aria-label="Method"
          class="mono method"
          value={method}
          list="methods"
          onInput={(event) => setMethod(event.currentTarget.value.trim())}
        />
        <datalist id="methods">
          {['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'].map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <input
          aria-label="Path"
          class="mono"
          dir="ltr"
          value={target}
          onInput={(event) => setTarget(event.currentTarget.value)}
        />
      </div>
      {detail.hidesTarget === true && (
        <p class="muted">Hidden parts of the path are sent as they were while it is not changed.</p>
      )}
      <h3>
        Headers {headers.length}{' '}
        <button
          type="button"
          class="quiet"
          onClick={() => setHeaders([...headers, { name: '', value: '' }])}
        >
          Add
        </button>
      </h3>
      {headers.map((header, at) => (
        <div class="edited-header" key={at}>
          <input
            aria-label={`Name of header ${at + 1}`}
            class="mono"
            dir="ltr"
            value={header.name}
            onInput={(event) => change(at, { name: event.currentTarget.value })}
          />
          {header.keep === undefined ? (
            <input
              aria-label={`Value of header ${at + 1}`}
              class="mono"
              dir="ltr"
              value={header.value}
              onInput={(event) => change(at, { value: event.currentTarget.value })}
            />
          ) : (
            <button
              type="button"
              class="secret"
              onClick={() =>
                setHeaders(
                  headers.map((one, index) => (index === at ? { name: one.name, value: '' } : one)),
                )
              }
            >
              hidden: sent as it was<span class="hidden-text">; press to write another</span>
            </button>
          )}
          <button
            type="button"
            class="quiet"
            aria-label={`Remove header ${at + 1}`}
            onClick={() => setHeaders(headers.filter((_, index) => index !== at))}
          >
            ×
          </button>
        </div>
      ))}
      <h3>Body</h3>
      {isCut && <p class="note">Not all of the body was kept: paste one to send it.</p>}
      {original === undefined && body === undefined && (
        <p class="note">The body is no text. It is sent as it was while you write nothing here.</p>
      )}
      {isCoded && (
        <p class="note">
          The body is shown decoded. When you change it, it is sent without the content-encoding.
        </p>
      )}
      <textarea
        aria-label="Body"
        class="mono"
        dir="ltr"
        rows={8}
        spellcheck={false}
        value={body ?? original ?? ''}
        onInput={(event) => setBody(event.currentTarget.value)}
      />
      <div class="actions">
        <button type="submit" class="main" disabled={isSending}>
          {isSending ? 'Sending…' : 'Send to the service'}
        </button>
        <button type="button" onClick={() => (tab.value = 'request')}>
          Close
        </button>
        <span class="muted">Ctrl+Enter sends</span>
      </div>
      {answer !== undefined && <Answer original={detail} id={answer} seq={answer} />}
    </form>
  )
}

function base64Of(text: string): string {
  let binary = ''
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte)
  return btoa(binary)
}
