/** One exchange: what came, what went, how long it took, and what can be done with it. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

import type { ExchangeDetail, HeaderField, MessageInfo } from '../contract.ts'
import { act, curlOf, type DetailTab, replayNow, saveHar, tab, togglePin } from './acts.ts'
import { formatBytes, formatMoment, formatMs } from '../parts/format.ts'
import { OutcomeIcon, Spark } from '../parts/pictures.tsx'
import { CopyButton, Foreign } from '../parts/text.tsx'
import { call, get, post } from './api.ts'
import { BodyView, HexText, PlainText } from './body-view.tsx'
import { currentRow, replaysOf } from './live.ts'
import { LegendTime, outcomeOf, TimeBar } from './parts.tsx'
import { ReplayEditor, Replays } from './replay.tsx'

/** Time between two loads of an exchange that changes, ms. */
const RELOAD_MS = 300

/** Loads an exchange, and again when it changes: of one that changes all the time, not with each change. */
function useDetail(id: number): ExchangeDetail | undefined {
  const [detail, setDetail] = useState<ExchangeDetail | undefined>(undefined)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const shown = useRef(id)
  shown.current = id
  const seq = currentRow(id)?.seq
  useEffect(
    () => () => {
      clearTimeout(timer.current)
      timer.current = undefined
    },
    [id],
  )
  useEffect(() => {
    const load = (): void => {
      timer.current = undefined
      void get<ExchangeDetail>(`exchanges/${id}`).then(
        (loaded) => id === shown.current && setDetail(loaded),
        () => {}, // it is no longer kept: what was loaded stays
      )
    }
    timer.current ??= setTimeout(load, detail?.row.id === id ? RELOAD_MS : 0)
  }, [id, seq])
  return detail?.row.id === id ? detail : undefined
}

/** @param onBack - on a narrow screen: back to the list. */
export function Detail({
  id,
  onBack,
}: {
  readonly id: number
  readonly onBack: (() => void) | undefined
}): JSX.Element {
  const detail = useDetail(id)
  const isKept = currentRow(id) !== undefined
  if (detail === undefined) {
    return (
      <div class="detail-empty">
        {onBack !== undefined && (
          <button type="button" onClick={onBack}>
            Back
          </button>
        )}
        <p class="muted">{isKept ? 'Loading…' : 'It is no longer kept.'}</p>
      </div>
    )
  }
  const { row } = detail
  const isTcp = row.kind === 'tcp'
  const hasMessages = row.kind === 'websocket' || row.kind === 'sse'
  const replays = replaysOf(id)
  const tabs: [DetailTab, string][] = [
    ['response', isTcp ? 'Bytes' : 'Response'],
    ...(isTcp ? [] : ([['request', 'Request']] as [DetailTab, string][])),
    ...(hasMessages
      ? ([['messages', `${row.kind === 'sse' ? 'Events' : 'Messages'} ${row.messages ?? 0}`]] as [
          DetailTab,
          string,
        ][])
      : []),
    ['replays', `Replays ${replays.length}`],
  ]
  const shown =
    tab.value === 'edit' || tabs.some(([name]) => name === tab.value) ? tab.value : 'response'
  return (
    <article class="detail" aria-label="Exchange">
      <header>
        {onBack !== undefined && (
          <button type="button" class="back" onClick={onBack}>
            ← Back
          </button>
        )}
        <Headline detail={detail} />
        {!isKept && <p class="note">No longer kept: this is what was loaded.</p>}
        <div class="actions">
          <button
            type="button"
            class="main"
            disabled={!detail.replay.possible || !isKept}
            onClick={() => void replayNow(id)}
          >
            Replay
          </button>
          {!isTcp && row.kind !== 'websocket' && (
            <button
              type="button"
              disabled={!isKept || row.method === ''}
              onClick={() => (tab.value = 'edit')}
            >
              Edit and replay
            </button>
          )}
          {!isTcp && <CopyButton text={async () => await curlOf(id)}>Copy as curl</CopyButton>}
          {!isTcp && (
            <button type="button" onClick={() => void saveHar([id], false)}>
              Save HAR
            </button>
          )}
          <button
            type="button"
            aria-pressed={row.pinned === true}
            disabled={!isKept}
            onClick={() => void togglePin(id)}
          >
            {row.pinned === true ? 'Unpin' : 'Pin'}
          </button>
        </div>
        {!detail.replay.possible && <p class="muted">{detail.replay.why}</p>}
        <Times detail={detail} />
        <div class="segments tabs" role="tablist" aria-label="Parts of the exchange">
          {tabs.map(([name, label]) => (
            <button
              type="button"
              role="tab"
              key={name}
              id={`tab-${name}`}
              aria-controls="detail-panel"
              aria-selected={name === shown}
              tabIndex={name === shown || (shown === 'edit' && name === 'response') ? 0 : -1}
              onClick={() => (tab.value = name)}
              onKeyDown={(event) => {
                if (event.key !== 'ArrowRight' && event.key !== 'ArrowLeft') return
                const names = tabs.map(([one]) => one)
                const by = event.key === 'ArrowRight' ? 1 : -1
                const next = names[(names.indexOf(name) + by + names.length) % names.length]
                if (next === undefined) return
                tab.value = next
                document.getElementById(`tab-${next}`)?.focus()
              }}
            >
              {label}
            </button>
          ))}
        </div>
      </header>
      <div
        class="panel"
        id="detail-panel"
        role="tabpanel"
        aria-label={tabs.find(([name]) => name === shown)?.[1] ?? 'Edit and replay'}
        tabIndex={-1}
      >
        {shown === 'response' &&
          (isTcp ? <TcpBytes detail={detail} /> : <Side detail={detail} side="response" />)}
        {shown === 'request' && <Side detail={detail} side="request" />}
        {shown === 'messages' && <Messages detail={detail} />}
        {shown === 'replays' && <Replays detail={detail} replays={replays} />}
        {shown === 'edit' && <ReplayEditor key={id} detail={detail} />}
      </div>
    </article>
  )
}

function Headline({ detail }: { readonly detail: ExchangeDetail }): JSX.Element {
  const { row, reason } = detail
  const outcome = outcomeOf(row)
  const isBad = outcome === 'bad' || outcome === 'warn'
  const byAdit = row.code !== undefined && row.status === undefined
  const status =
    row.status === undefined
      ? byAdit
        ? row.code
        : row.state === 'open'
          ? 'open'
          : 'ended'
      : `${row.status} ${reason ?? ''}`
  return (
    <>
      <h2 class="headline">
        <OutcomeIcon outcome={outcome} />
        <span class={isBad ? outcome : ''}>
          <Foreign text={status ?? ''} />
        </span>
        {isBad && (
          <span class="muted small">
            {byAdit ? 'made by Adit, not by the service' : 'sent by the service'}
          </span>
        )}
      </h2>
      <p class="target mono">
        <b>{row.kind === 'tcp' ? 'TCP' : row.method}</b>{' '}
        <Foreign
          text={row.kind === 'tcp' ? `${row.visitor ?? 'visitor'} → ${row.endpoint}` : row.target}
        />
        {detail.hidesTarget === true && (
          <Reveal id={row.id} side="target" index={0} length={undefined} />
        )}
      </p>
      <p class="muted facts">
        <span>{formatMoment(row.startedAt)}</span>
        {row.visitor !== undefined && (
          <span>
            visitor <Foreign text={row.visitor} />
          </span>
        )}
        <span>
          endpoint <Foreign text={row.endpoint} />
        </span>
        {row.requestId !== undefined && (
          <span>
            request id <Foreign text={row.requestId} />
          </span>
        )}
        {row.replayOf !== undefined && (
          <span>replay of {row.replayOf}, straight to the service</span>
        )}
      </p>
      {row.givenUp !== undefined && (
        <p class="note">
          Capture given up: <Foreign text={row.givenUp} />. The bytes crossed all the same.
        </p>
      )}
      {detail.stopped !== undefined && <p class="note">{detail.stopped}</p>}
    </>
  )
}

function Times({ detail }: { readonly detail: ExchangeDetail }): JSX.Element {
  const { row, ends } = detail
  return (
    <div class="times">
      <TimeBar row={row} width={320} />
      <p>
        <LegendTime name="Total" ms={row.totalMs} />
        <LegendTime name="Tunnel" ms={row.tunnelMs} colour="tunnel" />
        <LegendTime
          name={row.kind === 'tcp' ? 'First byte of the service' : 'Waiting for the service'}
          ms={row.waitMs}
          colour="waiting"
        />
        {row.kind !== 'tcp' && <LegendTime name="Body" ms={row.bodyMs} colour="body" />}
        <span class="legend">
          In <b>{formatBytes(row.bytesIn)}</b>
        </span>
        <span class="legend">
          Out <b>{formatBytes(row.bytesOut)}</b>
        </span>
      </p>
      {row.kind === 'tcp' && ends.length > 0 && (
        <p class="muted">
          Ended by{' '}
          {ends.map(({ who, atMs }) => `the ${who} after ${formatMs(atMs)}`).join(', then by ')}
          {row.code !== undefined && `, code ${row.code}`}
        </p>
      )}
    </div>
  )
}

function Side({
  detail,
  side,
}: {
  readonly detail: ExchangeDetail
  readonly side: 'request' | 'response'
}): JSX.Element {
  const headers = side === 'request' ? detail.requestHeaders : detail.responseHeaders
  const { row } = detail
  if (side === 'response' && row.status === undefined) {
    return (
      <p class="muted">
        {row.state === 'open' ? 'No answer yet.' : `No answer: ${row.code ?? 'it was not read'}.`}
      </p>
    )
  }
  const mark = row.target.indexOf('?')
  const query =
    side === 'request' && mark !== -1 ? [...new URLSearchParams(row.target.slice(mark + 1))] : []
  return (
    <>
      <h3>Body</h3>
      <BodyView detail={detail} side={side} />
      {query.length > 0 && (
        <>
          <h3>Query {query.length}</h3>
          <dl class="fields">
            {query.map(([name, value], at) => (
              <div key={at}>
                <dt>
                  <Foreign text={name} />
                </dt>
                <dd>
                  <Foreign text={value} />
                </dd>
              </div>
            ))}
          </dl>
        </>
      )}
      <h3>Headers {headers.length}</h3>
      <dl class="fields">
        {headers.map((field, at) => (
          <HeaderRow key={at} field={field} id={row.id} side={side} index={at} />
        ))}
      </dl>
    </>
  )
}

function HeaderRow({
  field,
  id,
  side,
  index,
}: {
  readonly field: HeaderField
  readonly id: number
  readonly side: 'request' | 'response'
  readonly index: number
}): JSX.Element {
  return (
    <div>
      <dt>
        <Foreign text={field.name} />
      </dt>
      <dd>
        {field.value !== '' && <Foreign text={field.value} />}
        {field.hidden !== undefined && (
          <Reveal id={id} side={side} index={index} length={field.hidden} />
        )}
      </dd>
    </div>
  )
}

/** A secret; a press shows it. */
function Reveal({
  id,
  side,
  index,
  length,
}: {
  readonly id: number
  readonly side: 'request' | 'response' | 'target'
  readonly index: number
  readonly length: number | undefined
}): JSX.Element {
  const [value, setValue] = useState<string | undefined>(undefined)
  useEffect(() => setValue(undefined), [id, side, index])
  if (value !== undefined) {
    return (
      <span class="revealed">
        <Foreign text={value} />{' '}
        <button type="button" class="secret" onClick={() => setValue(undefined)}>
          Hide
        </button>
      </span>
    )
  }
  const reveal = async (): Promise<void> => {
    const answer = await post<{ readonly value: string }>(`exchanges/${id}/reveal`, { side, index })
    setValue(answer.value)
  }
  return (
    <button type="button" class="secret" onClick={() => void act(reveal)}>
      {length === undefined ? 'hidden' : `hidden, ${length} characters`}
      <span class="hidden-text">: show</span>
    </button>
  )
}

function Messages({ detail }: { readonly detail: ExchangeDetail }): JSX.Element {
  const [text, setText] = useState('')
  const [chosen, choose] = useState<number | undefined>(undefined)
  const { messages = [], messagesDropped = 0 } = detail
  const part = text.toLowerCase()
  const shown = messages.filter(({ data, from, type }) =>
    `${from} ${type} ${data}`.toLowerCase().includes(part),
  )
  const message = messages.find(({ number }) => number === chosen)
  const last = shown.slice(-200)
  return (
    <div class="messages">
      <input
        type="search"
        value={text}
        placeholder="Filter messages"
        aria-label="Filter messages"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {messagesDropped > 0 && (
        <p class="note">{messagesDropped} earlier ones were dropped for later ones.</p>
      )}
      {shown.length > last.length && (
        <p class="muted">
          The last {last.length} of {shown.length}.
        </p>
      )}
      <ul>
        {last.map((one) => (
          <li key={one.number}>
            <button
              type="button"
              class="quiet message"
              aria-pressed={one.number === chosen}
              onClick={() => choose(one.number === chosen ? undefined : one.number)}
            >
              <span class={one.from === 'visitor' ? 'in' : 'out'}>
                {one.from === 'visitor' ? '→ visitor' : '← service'}
              </span>
              <span class="muted">{formatMs(one.atMs)}</span>
              <span class="muted">{one.type === 'text' ? '' : one.type}</span>
              <span class="text mono">
                <Foreign text={previewOf(one)} />
              </span>
              <span class="muted">{formatBytes(one.bytes)}</span>
            </button>
          </li>
        ))}
      </ul>
      {message !== undefined && <MessageBody message={message} />}
      <p class="muted">Messages are shown as they are: nothing in them is hidden.</p>
    </div>
  )
}

function previewOf({ data, isBase64, compressed }: MessageInfo): string {
  if (compressed === true) return 'compressed, not readable'
  const text =
    isBase64 === true
      ? [...bytesOf(data)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
      : data
  return text.slice(0, 200).replaceAll(/\s+/g, ' ')
}

function MessageBody({ message }: { readonly message: MessageInfo }): JSX.Element {
  return (
    <section aria-label={`Message ${message.number}`}>
      {message.cut === true && <p class="note">Only its first part was kept.</p>}
      {message.isBase64 === true ? (
        <HexText bytes={bytesOf(message.data)} />
      ) : (
        <PlainText text={message.data} />
      )}
    </section>
  )
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}

function TcpBytes({ detail }: { readonly detail: ExchangeDetail }): JSX.Element {
  const { row, rates, requestBody, responseBody } = detail
  const [sides, setSides] = useState<readonly Uint8Array[]>([])
  const [isHex, setHex] = useState(true)
  useEffect(() => {
    let isOver = false
    const load = async (): Promise<void> => {
      const loaded = await Promise.all(
        (['request', 'response'] as const).map(async (side) => {
          const response = await call(`exchanges/${row.id}/body?side=${side}`)
          return new Uint8Array(await response.arrayBuffer())
        }),
      )
      if (!isOver) setSides(loaded)
    }
    void load().catch(() => {})
    return () => {
      isOver = true
    }
  }, [row.id, requestBody.kept, responseBody.kept])
  const text = (bytes: Uint8Array): JSX.Element =>
    isHex ? <HexText bytes={bytes} /> : <PlainText text={new TextDecoder().decode(bytes)} />
  return (
    <>
      {rates !== undefined && (
        <>
          <h3>Bytes per second</h3>
          <p class="rates">
            <span>in</span>{' '}
            <Spark
              values={rates.in}
              width={220}
              height={28}
              label={`Bytes from the visitor per second, most ${formatBytes(Math.max(...rates.in))}`}
            />
            <span>out</span>{' '}
            <Spark
              values={rates.out}
              width={220}
              height={28}
              label={`Bytes to the visitor per second, most ${formatBytes(Math.max(...rates.out))}`}
            />
          </p>
        </>
      )}
      <div class="body-tools">
        <span class="segments" role="group" aria-label="View of the bytes">
          <button type="button" aria-pressed={!isHex} onClick={() => setHex(false)}>
            Text
          </button>
          <button type="button" aria-pressed={isHex} onClick={() => setHex(true)}>
            Hex
          </button>
        </span>
      </div>
      <h3>The visitor sent {formatBytes(requestBody.bytes)}</h3>
      {requestBody.kept < requestBody.bytes && (
        <p class="muted">The first {formatBytes(requestBody.kept)} were kept.</p>
      )}
      {sides[0] !== undefined && sides[0].length > 0 && text(sides[0])}
      <h3>The service sent {formatBytes(responseBody.bytes)}</h3>
      {responseBody.kept < responseBody.bytes && (
        <p class="muted">The first {formatBytes(responseBody.kept)} were kept.</p>
      )}
      {sides[1] !== undefined && sides[1].length > 0 && text(sides[1])}
    </>
  )
}
