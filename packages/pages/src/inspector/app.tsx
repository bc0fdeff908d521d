/** The page: head, notices, list and detail, keyboard. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

import type { InspectedListener } from '../contract.ts'
import { formatBytes, formatClock, formatLimit } from '../parts/format.ts'
import { Logo } from '../parts/pictures.tsx'
import { CopyButton, copyText, Foreign } from '../parts/text.tsx'
import { isNarrow } from '../parts/window.ts'
import { call, post, setToken } from './api.ts'
import { act, curlOf, notice, replayNow, saveHar, tab, togglePin } from './acts.ts'
import { Detail } from './detail.tsx'
import { FILTER_KEYS } from './filter.ts'
import { List, moveSelection, selected } from './list.tsx'
import {
  agent,
  allRows,
  currentRow,
  filter,
  filterText,
  isFilterOn,
  isPaused,
  kind,
  link,
  pendingCount,
  retryWithToken,
  shownRows,
} from './live.ts'

const KEYS: readonly (readonly [string, string])[] = [
  ['J K', 'next, previous exchange'],
  ['Enter O', 'open it; Esc goes back'],
  ['/', 'filter; Esc clears it'],
  ['F', 'filter on and off'],
  ['R', 'replay'],
  ['E', 'edit and replay'],
  ['Ctrl+Enter', 'send the edited request'],
  ['C', 'copy as curl'],
  ['H', 'save as HAR'],
  ['P', 'pause and go on'],
  ['X', 'clear'],
  ['.', 'pin'],
  ['1 2 3', 'response, request, replays'],
  ['?', 'these keys'],
]

const KEYS_OFF = 'adit-inspect-keys-off'

export function App(): JSX.Element {
  const filterInput = useRef<HTMLInputElement>(null)
  const help = useRef<HTMLDialogElement>(null)
  const exporting = useRef<HTMLDialogElement>(null)
  const [isOpen, setOpen] = useState(false)
  const id = selected.value
  const showsDetail = id !== undefined && (!isNarrow.value || isOpen)
  const back = (): void => {
    setOpen(false)
    requestAnimationFrame(() =>
      document.querySelector<HTMLElement>('.rows [tabindex="0"]')?.focus(),
    )
  }
  const open = (): void => {
    setOpen(true)
    if (isNarrow.peek()) {
      requestAnimationFrame(() => document.querySelector<HTMLElement>('.back')?.focus())
    }
  }
  const focusDetail = (): void => {
    open()
    requestAnimationFrame(() => document.getElementById('detail-panel')?.focus())
  }

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement
      const isInput = target.closest('input, textarea, select, dialog') !== null
      if (event.key === 'Escape' && !isInput) back()
      if (isInput || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
      if (localStorage.getItem(KEYS_OFF) !== null && event.key !== '?') return
      const now = selected.peek()
      const row = now === undefined ? undefined : currentRow(now)
      const acts: Readonly<Record<string, () => void>> = {
        j: () => moveSelection(1),
        k: () => moveSelection(-1),
        o: focusDetail,
        '/': () => filterInput.current?.focus(),
        f: () => (isFilterOn.value = !isFilterOn.peek()),
        p: () => (isPaused.value = !isPaused.peek()),
        x: () => void clear(),
        '?': () => help.current?.showModal(),
        ...(row !== undefined &&
          now !== undefined && {
            r: () => void replayNow(now),
            e: () => {
              if (row.kind !== 'tcp' && row.kind !== 'websocket') tab.value = 'edit'
              open()
            },
            c: () =>
              void act(async () => {
                const isCopied = await copyText(await curlOf(now))
                notice.value = isCopied ? 'Copied as curl' : 'The browser does not allow to copy'
              }),
            h: () => void saveHar([now], false),
            '.': () => void togglePin(now),
            '1': () => (tab.value = 'response'),
            '2': () => (tab.value = 'request'),
            '3': () => (tab.value = 'replays'),
          }),
      }
      const run = Object.hasOwn(acts, event.key) ? acts[event.key] : undefined
      if (run === undefined) return
      event.preventDefault()
      run()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [])

  if (link.value === 'no-token') return <TokenForm />
  return (
    <div class={`page ${showsDetail ? 'has-detail' : ''}`}>
      <Head />
      <main>
        <Banners />
        <p class="notice" role="status">
          {notice.value}
        </p>
        <div class="panes">
          <section class="list-pane" aria-label="List">
            <Tools
              filterInput={filterInput}
              onHelp={() => help.current?.showModal()}
              onExport={() => exporting.current?.showModal()}
            />
            {allRows.value.length === 0 ? <Waiting /> : <List onOpen={open} />}
            {allRows.value.length > 0 && shownRows.value.length === 0 && (
              <p class="empty muted">Nothing matches the filter.</p>
            )}
            <Foot />
          </section>
          <section class="detail-pane" aria-label="Detail">
            {id === undefined ? (
              <p class="detail-empty muted">Choose an exchange to see it here.</p>
            ) : (
              <Detail id={id} onBack={isNarrow.value ? back : undefined} />
            )}
          </section>
        </div>
      </main>
      <KeysDialog dialog={help} />
      <ExportDialog dialog={exporting} />
    </div>
  )
}

async function clear(): Promise<void> {
  await act(async () => await post('clear'))
}

function Head(): JSX.Element {
  const state = agent.value
  const listeners = state?.listeners ?? []
  const [first, ...more] = listeners
  const url = first?.urls[0]
  return (
    <header class="head">
      <h1>
        <Logo />
        Adit <span class="hidden-text">inspector</span>
      </h1>
      {first !== undefined && (
        <p class="route">
          {url === undefined ? (
            <Foreign text={first.endpoint} />
          ) : url.startsWith('http') ? (
            <a href={url} target="_blank" rel="noreferrer">
              <Foreign text={url} />
            </a>
          ) : (
            <Foreign text={url} />
          )}
          {url !== undefined && <CopyButton text={url} />}
          <span class="muted to">
            → <Foreign text={first.service} />
            {more.length > 0 && ` and ${more.length} more`}
          </span>
        </p>
      )}
      <LinkState />
    </header>
  )
}

function LinkState(): JSX.Element {
  const state = agent.value
  const [kindOf, text] =
    link.value === 'connecting'
      ? ['muted', 'Connecting…']
      : link.value === 'lost'
        ? ['bad', 'Agent stopped']
        : link.value === 'busy'
          ? ['warn', 'Open in too many tabs']
          : state?.connected === true
            ? ['ok', state.rttMs === undefined ? 'Connected' : `Connected ${state.rttMs}\u202fms`]
            : ['warn', 'Reconnecting']
  return (
    <p class={`pill ${kindOf}`} role="status">
      {text}
    </p>
  )
}

function Banners(): JSX.Element {
  const state = agent.value
  return (
    <>
      {link.value === 'lost' && (
        <p class="banner error">The agent has stopped. Start it again and this page continues.</p>
      )}
      {link.value === 'open' && state?.connected === false && (
        <p class="banner">
          No connection to the server; the agent tries again.{' '}
          {state.problem !== undefined && <Foreign text={state.problem} />}
        </p>
      )}
      {state?.listeners.map(
        (listener) => listener.down && <DownBanner key={listener.endpoint} listener={listener} />,
      )}
    </>
  )
}

function DownBanner({ listener }: { readonly listener: InspectedListener }): JSX.Element | null {
  const { down, service, endpoint } = listener
  if (down === undefined) return null
  return (
    <div class="banner error" role="alert">
      <p>
        <b>
          The service <Foreign text={service} /> does not answer
        </b>{' '}
        since {formatClock(down.since)} (endpoint <Foreign text={endpoint} />
        ).
      </p>
      <p>
        <Foreign text={down.text} />
      </p>
      <p class="muted">
        {down.refused === 1 ? '1 request was' : `${down.refused} requests were`} refused since then.
        Tried again every 2 s.
      </p>
    </div>
  )
}

function Tools({
  filterInput,
  onHelp,
  onExport,
}: {
  readonly filterInput: { current: HTMLInputElement | null }
  readonly onHelp: () => void
  readonly onExport: () => void
}): JSX.Element {
  const file = useRef<HTMLInputElement>(null)
  const read = filter.value
  const wrong = read.terms.filter(({ problem }) => problem !== undefined)
  const pending = pendingCount.value
  const kinds = [
    ['all', 'All'],
    ['http', 'HTTP'],
    ['ws', 'WS'],
    ['tcp', 'TCP'],
  ] as const
  const importFile = async (chosen: File | undefined): Promise<void> => {
    if (chosen === undefined) return
    await act(async () => {
      const response = await call('har', { body: await chosen.text() })
      const { taken, refused } = (await response.json()) as { taken: number; refused: number }
      notice.value = `${taken} exchanges read${refused > 0 ? `, ${refused} were not understood` : ''}`
    })
    if (file.current !== null) file.current.value = ''
  }
  return (
    <div class="tools">
      <input
        ref={filterInput}
        type="search"
        class="filter"
        value={filterText.value}
        placeholder="Filter, e.g. status:5xx"
        aria-label="Filter"
        aria-describedby="filter-help"
        aria-invalid={wrong.length > 0}
        onInput={(event) => {
          filterText.value = event.currentTarget.value
          isFilterOn.value = true
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return
          if (filterText.value === '') event.currentTarget.blur()
          filterText.value = ''
        }}
      />
      <span class="hidden-text" id="filter-help">
        Words, or {FILTER_KEYS.map((key) => `${key}:`).join(' ')} and a value; a minus in front
        negates.
      </span>
      <span class="segments" role="group" aria-label="Kind">
        {kinds.map(([name, label]) => (
          <button
            type="button"
            key={name}
            aria-pressed={kind.value === name}
            onClick={() => (kind.value = name)}
          >
            {label}
          </button>
        ))}
      </span>
      <span class="tool-end">
        <button
          type="button"
          aria-pressed={isPaused.value}
          onClick={() => (isPaused.value = !isPaused.value)}
        >
          {isPaused.value ? `Go on${pending > 0 ? ` (${pending} new)` : ''}` : 'Pause'}
        </button>
        <button type="button" onClick={() => void clear()}>
          Clear
        </button>
        <button type="button" onClick={onExport}>
          Export
        </button>
        <button type="button" onClick={() => file.current?.click()}>
          Import
        </button>
        <input
          ref={file}
          type="file"
          accept=".har,application/json"
          aria-label="HAR file"
          hidden
          onChange={(event) => void importFile(event.currentTarget.files?.[0])}
        />
        <button type="button" aria-label="Keys" onClick={onHelp}>
          ?
        </button>
      </span>
      {(wrong.length > 0 || (!isFilterOn.value && filterText.value !== '')) && (
        <p class="warn filter-note" role="status">
          {wrong.length > 0
            ? wrong.map(({ text, problem }) => `${text}: ${problem}`).join('; ')
            : 'The filter is off; F switches it on.'}
        </p>
      )}
    </div>
  )
}

function Waiting(): JSX.Element {
  const state = agent.value
  const listeners = state?.listeners ?? []
  return (
    <div class="first-visitor">
      <h2>Waiting for the first visitor</h2>
      {state?.recording === false && (
        <p class="note">Nothing is kept while this page is closed (inspector.keep: 0).</p>
      )}
      <ul>
        {listeners.map((listener) => {
          const url = listener.urls[0]
          const command =
            url?.startsWith('http') === true ? `curl ${url}` : `adit access ${listener.endpoint}`
          return (
            <li key={listener.endpoint}>
              <p>
                {listener.online ? <b class="ok">online</b> : <b class="warn">offline</b>}{' '}
                <Foreign text={url ?? listener.endpoint} /> <span class="muted">→</span>{' '}
                <Foreign text={listener.service} />
              </p>
              <p>
                <code>{command}</code> <CopyButton text={command} />
              </p>
            </li>
          )
        })}
      </ul>
    </div>
  )
}

function Foot(): JSX.Element {
  const state = agent.value
  if (state === undefined) return <p class="foot" />
  const { kept, keep, bytes, maxBytes, skipped } = state
  return (
    <p class="foot muted">
      <span>
        {kept} kept of {keep}
      </span>
      <span>
        {formatBytes(bytes)} of {formatLimit(maxBytes)}
      </span>
      {skipped > 0 && <span>{skipped} not captured: too many per second</span>}
      {filterText.value !== '' && <span>{shownRows.value.length} shown</span>}
    </p>
  )
}

function TokenForm(): JSX.Element {
  const [text, setText] = useState('')
  return (
    <main class="sign-in">
      <h1>Adit inspector</h1>
      <p>
        Open the address that <code>adit</code> printed; <code>adit inspect</code> prints it again.
        Or paste it here:
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          setToken(/#t=([\w-]+)/.exec(text)?.[1] ?? text.trim())
          retryWithToken()
        }}
      >
        <input
          aria-label="Address or token"
          autocomplete="off"
          dir="ltr"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="main">
          Open
        </button>
      </form>
      <p class="muted">
        The token keeps other users and programs of this machine out, and the pages of your own
        service.
      </p>
    </main>
  )
}

function KeysDialog({
  dialog,
}: {
  readonly dialog: { current: HTMLDialogElement | null }
}): JSX.Element {
  const [areOff, setOff] = useState(localStorage.getItem(KEYS_OFF) !== null)
  return (
    <dialog ref={dialog} aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl class="fields keys">
        {KEYS.map(([key, does]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p>
        <label>
          <input
            type="checkbox"
            checked={!areOff}
            onChange={(event) => {
              if (event.currentTarget.checked) localStorage.removeItem(KEYS_OFF)
              else localStorage.setItem(KEYS_OFF, '1')
              setOff(!event.currentTarget.checked)
            }}
          />{' '}
          Single letters are keys
        </label>
      </p>
      <div class="actions">
        <button type="button" class="main" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  )
}

function ExportDialog({
  dialog,
}: {
  readonly dialog: { current: HTMLDialogElement | null }
}): JSX.Element {
  const [withSecrets, setSecrets] = useState(false)
  const [isShownOnly, setShownOnly] = useState(false)
  const count = isShownOnly ? shownRows.value.length : allRows.value.length
  const save = async (): Promise<void> => {
    dialog.current?.close()
    await saveHar(isShownOnly ? shownRows.value.map(({ id }) => id) : undefined, withSecrets)
    setSecrets(false)
  }
  return (
    <dialog ref={dialog} aria-labelledby="export-title">
      <h2 id="export-title">Export as HAR</h2>
      <p>{count} exchanges, with what was kept of their bodies. TCP connections are left out.</p>
      <p>
        <label>
          <input
            type="checkbox"
            checked={isShownOnly}
            onChange={(event) => setShownOnly(event.currentTarget.checked)}
          />{' '}
          Only those that the filter shows
        </label>
      </p>
      <p>
        <label>
          <input
            type="checkbox"
            checked={withSecrets}
            onChange={(event) => setSecrets(event.currentTarget.checked)}
          />{' '}
          With secrets: cookies, tokens and passwords of visitors
        </label>
      </p>
      <p class="muted">Bodies are exported as they are, also when they hold secrets.</p>
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class="main" onClick={() => void save()}>
          Save
        </button>
      </div>
    </dialog>
  )
}
