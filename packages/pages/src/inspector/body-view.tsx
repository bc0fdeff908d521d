/** A body as people read it: JSON folded, forms, images, text, hex. HTML and SVG are shown as text. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import type { BodyInfo, ExchangeDetail } from '../contract.ts'
import { formatBytes, hexLines } from '../parts/format.ts'
import { Foreign, saveFile } from '../parts/text.tsx'
import { call } from './api.ts'

/** Bytes that are laid out at most. */
const MAX_SHOWN = 65_536

/** Lines that are laid out at most. */
const MAX_LINES = 2_000

/** Depth from which objects are folded. */
const FOLDED_DEPTH = 2

/** Entries of one object that are shown. */
const MAX_ENTRIES = 500

interface Loaded {
  readonly bytes: Uint8Array
  readonly isCut: boolean
  readonly problem: string | null
}

/** Loads a body, decoded. */
export async function loadBody(id: number, side: 'request' | 'response'): Promise<Loaded> {
  const response = await call(`exchanges/${id}/body?side=${side}&decoded=1`)
  return {
    bytes: new Uint8Array(await response.arrayBuffer()),
    isCut: response.headers.has('x-adit-cut'),
    problem: response.headers.get('x-adit-problem'),
  }
}

type View = 'tree' | 'form' | 'image' | 'text' | 'hex'

const NAMES: Readonly<Record<View, string>> = {
  tree: 'Tree',
  form: 'Form',
  image: 'Image',
  text: 'Raw',
  hex: 'Hex',
}

/** Views that fit a body, the best first. */
function viewsOf(
  bytes: Uint8Array,
  type: string,
): { views: View[]; json?: unknown; text?: string } {
  if (imageType(bytes) !== undefined) return { views: ['image', 'hex'] }
  const text = readText(bytes, type)
  if (text === undefined) return { views: ['hex'] }
  if (/[/+]json\b/i.test(type) || /^\s*[[{]/.test(text)) {
    try {
      return { views: ['tree', 'text', 'hex'], json: JSON.parse(text) as unknown, text }
    } catch {
      // cut, or no JSON
    }
  }
  if (/^application\/x-www-form-urlencoded/i.test(type)) {
    return { views: ['form', 'text', 'hex'], text }
  }
  return { views: ['text', 'hex'], text }
}

/** Body of one side, with a choice of views. */
export function BodyView({
  detail,
  side,
}: {
  readonly detail: ExchangeDetail
  readonly side: 'request' | 'response'
}): JSX.Element {
  const info = side === 'request' ? detail.requestBody : detail.responseBody
  const headers = side === 'request' ? detail.requestHeaders : detail.responseHeaders
  const type = headers.find(({ name }) => name.toLowerCase() === 'content-type')?.value ?? ''
  const [loaded, setLoaded] = useState<Loaded | undefined>(undefined)
  const [chosen, choose] = useState<View | undefined>(undefined)
  const { id } = detail.row
  useEffect(() => {
    let isOver = false
    if (info.kept > 0) {
      void loadBody(id, side).then(
        (body) => !isOver && setLoaded(body),
        () => {},
      )
    } else setLoaded(undefined)
    return () => {
      isOver = true
    }
  }, [id, side, info.kept])
  if (info.bytes === 0) return <p class="muted">No body.</p>
  if (loaded === undefined) {
    return <p class="muted">{info.kept === 0 ? notKept(info) : 'Loading…'}</p>
  }
  const { views, json, text } = viewsOf(loaded.bytes, type)
  const view = chosen !== undefined && views.includes(chosen) ? chosen : (views[0] ?? 'hex')
  return (
    <div class="body-view">
      <div class="body-tools">
        <span class="muted">
          {formatBytes(info.bytes)}
          {type !== '' && (
            <>
              , <Foreign text={type.split(';', 1)[0] ?? ''} />
            </>
          )}
        </span>
        <span class="segments" role="group" aria-label="View of the body">
          {views.map((one) => (
            <button type="button" key={one} aria-pressed={one === view} onClick={() => choose(one)}>
              {NAMES[one]}
            </button>
          ))}
        </span>
        <button
          type="button"
          class="quiet"
          onClick={() => saveFile(`body-${id}-${side}.bin`, new Blob([loaded.bytes as BlobPart]))}
        >
          Save
        </button>
      </div>
      {info.kept < info.bytes && <p class="note">{notKept(info)}</p>}
      {loaded.problem !== null && <p class="note">Shown as it was sent: {loaded.problem}.</p>}
      {loaded.isCut && <p class="note">Only the first part could be decoded.</p>}
      {view === 'image' && <Image bytes={loaded.bytes} />}
      {view === 'tree' && <JsonTree value={json} depth={0} />}
      {view === 'form' && <FormTable text={text ?? ''} />}
      {view === 'text' && <PlainText text={text ?? ''} />}
      {view === 'hex' && <HexText bytes={loaded.bytes} />}
    </div>
  )
}

function notKept({ bytes, kept }: BodyInfo): string {
  return `The first ${formatBytes(kept)} of ${formatBytes(bytes)} were kept (inspector.body_bytes).`
}

/** The bytes as hex, with what is left out. */
export function HexText({ bytes }: { readonly bytes: Uint8Array }): JSX.Element {
  const limit = MAX_SHOWN / 4
  return (
    <pre class="code" tabIndex={0}>
      {hexLines(bytes, limit).join('\n')}
      {bytes.length > limit && `\n… ${bytes.length - limit} more bytes: save them to see all`}
    </pre>
  )
}

/** Text line by line, with what is left out. */
export function PlainText({ text }: { readonly text: string }): JSX.Element {
  const lines = text.slice(0, MAX_SHOWN).split(/\r\n|\r|\n/)
  const isCut = text.length > MAX_SHOWN || lines.length > MAX_LINES
  return (
    <pre class="code" tabIndex={0}>
      {lines.slice(0, MAX_LINES).map((line, at) => (
        <span key={at}>
          <Foreign text={line} />
          {'\n'}
        </span>
      ))}
      {isCut && '… more: save it to see all'}
    </pre>
  )
}

function FormTable({ text }: { readonly text: string }): JSX.Element {
  return (
    <dl class="fields">
      {[...new URLSearchParams(text)].slice(0, MAX_ENTRIES).map(([name, value], at) => (
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
  )
}

function JsonTree({
  name,
  value,
  depth,
}: {
  readonly name?: string
  readonly value: unknown
  readonly depth: number
}): JSX.Element {
  const label =
    name === undefined ? null : (
      <>
        <span class="json-key">
          <Foreign text={name} />
        </span>
        {': '}
      </>
    )
  if (typeof value !== 'object' || value === null) {
    const kind = typeof value === 'string' ? 'json-text' : 'json-value'
    return (
      <div class="json-line">
        {label}
        <span class={kind}>
          <Foreign text={JSON.stringify(value)} />
        </span>
      </div>
    )
  }
  const entries = Object.entries(value)
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  if (entries.length === 0) {
    return (
      <div class="json-line">
        {label}
        {open}
        {close}
      </div>
    )
  }
  return (
    <JsonBranch
      isOpen={depth < FOLDED_DEPTH}
      summary={
        <>
          {label}
          {open} <span class="muted">{entries.length}</span> {close}
        </>
      }
    >
      {() => (
        <>
          {entries.slice(0, MAX_ENTRIES).map(([key, inner]) => (
            <JsonTree key={key} name={key} value={inner} depth={depth + 1} />
          ))}
          {entries.length > MAX_ENTRIES && (
            <p class="muted">… {entries.length - MAX_ENTRIES} more</p>
          )}
        </>
      )}
    </JsonBranch>
  )
}

/** What is folded is not made. */
function JsonBranch({
  isOpen,
  summary,
  children,
}: {
  readonly isOpen: boolean
  readonly summary: JSX.Element
  readonly children: () => JSX.Element
}): JSX.Element {
  const [open, setOpen] = useState(isOpen)
  return (
    <details class="json" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {open && children()}
    </details>
  )
}

function Image({ bytes }: { readonly bytes: Uint8Array }): JSX.Element {
  const [url, setUrl] = useState('')
  const [size, setSize] = useState('')
  useEffect(() => {
    const made = URL.createObjectURL(
      new Blob([bytes as BlobPart], { type: imageType(bytes) ?? '' }),
    )
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [bytes])
  return (
    <figure class="image">
      {url !== '' && (
        <img
          src={url}
          alt="The body"
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
            setSize(`${naturalWidth} × ${naturalHeight}`)
          }
        />
      )}
      <figcaption class="muted">{size}</figcaption>
    </figure>
  )
}

/** Type of an image by its first bytes; what a header says does not count. */
function imageType(bytes: Uint8Array): string | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, 16))
  if (text.startsWith('\u0089PNG\r\n')) return 'image/png'
  if (text.startsWith('\u00ff\u00d8\u00ff')) return 'image/jpeg'
  if (text.startsWith('GIF8')) return 'image/gif'
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'image/webp'
  if (text.slice(4, 12) === 'ftypavif') return 'image/avif'
  return undefined
}

/** The text of a body; undefined when it is none. */
function readText(bytes: Uint8Array, type: string): string | undefined {
  const charset = /charset="?([\w-]+)/i.exec(type)?.[1] ?? 'utf-8'
  for (const [name, fatal] of [
    ['utf-8', true],
    [charset, false],
  ] as const) {
    try {
      // The end may be cut within a character: as part of a stream that is no error.
      const text = new TextDecoder(name, { fatal }).decode(bytes, { stream: true })
      // oxlint-disable-next-line no-control-regex -- control characters tell bytes from text
      const odd = [...text.matchAll(/[\u0000-\u0008\u000e-\u001a\ufffd]/g)].length
      return odd * 10 > text.length ? undefined : text
    } catch {
      // not in this charset
    }
  }
  return undefined
}
