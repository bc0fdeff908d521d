/** The page that a browser shows for an error: no script, nothing from elsewhere, nothing of the request. */
import { createHash } from 'node:crypto'

import type { VisitorPart, VisitorWording } from './visitor-wording.ts'

/** What a page tells beside its words. */
export interface PageFacts {
  readonly status: number
  readonly code: string
  /** Empty where the request has none. */
  readonly requestId: string
  /** UTC, to the second. */
  readonly time: string
}

const PARTS: readonly (readonly [part: VisitorPart, name: string])[] = [
  ['visitor', 'You'],
  ['tunnel', 'Tunnel'],
  ['agent', 'Computer of the service'],
  ['service', 'Service'],
]

const STYLE = `:root{color-scheme:light dark;--bg:#fff;--raised:#f6f7f9;--text:#161b22;--muted:#4f5a69;--ok:#0f6b37;--bad:#b3241c;--edge:#7b8696}
@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--raised:#161c23;--text:#e8ecf1;--muted:#a9b4c1;--ok:#5fd08a;--bad:#ff8f85;--edge:#6f7c8d}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:44rem;margin:0 auto;padding:2rem 1rem}
.status{margin:0;color:var(--muted);font-variant-numeric:tabular-nums}
h1{margin:0 0 .5rem;font-size:1.75rem;line-height:1.2}
h2{margin:1.5rem 0 .25rem;font-size:1rem}
p{margin:0}
ol{display:flex;flex-wrap:wrap;gap:.5rem;margin:1.5rem 0;padding:0;list-style:none}
li{flex:1 1 8rem;padding:.5rem .75rem;border:1px solid var(--edge);border-radius:8px}
li span{display:block;color:var(--muted);font-size:.875rem}
.ok span{color:var(--ok)}
.bad{border-color:var(--bad);box-shadow:inset 0 0 0 2px var(--bad)}
.bad span{color:var(--bad);font-weight:600}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:2rem 0 0;padding:.75rem;background:var(--raised);border-radius:8px;font-size:.875rem}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}`

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

/** Content-Security-Policy of {@link visitorPage}: its style and nothing else. */
export const VISITOR_PAGE_POLICY: string = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** The page. */
export function visitorPage(words: VisitorWording, facts: PageFacts): string {
  const { title, what, visitor, owner, part } = words
  const status = String(facts.status)
  const rows = [
    ['Code', facts.code],
    ['Request id', facts.requestId],
    ['Time', facts.time],
  ].filter(([, value]) => value !== '')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${status} ${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="status">${status}</p>
<h1>${escapeHtml(title)}</h1>
${paragraph(what)}<ol aria-label="The way to the service">
${steps(part)}
</ol>
<h2>If you are visiting</h2>
<p>${escapeHtml(visitor)}</p>
${owner === '' ? '' : `<h2>If this is your service</h2>\n${paragraph(owner)}`}<dl>
${rows.map(([name = '', value = '']) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join('\n')}
</dl>
</main>
</body>
</html>
`
}

/** What is before the broken part works; what is behind it was not asked. */
function steps(broken: VisitorPart): string {
  const at = PARTS.findIndex(([part]) => part === broken)
  return PARTS.map(([, name], index) => {
    if (index < at) return `<li class="ok">${name}<span>works</span></li>`
    if (index === at) return `<li class="bad">${name}<span>the problem is here</span></li>`
    return `<li>${name}<span>not asked</span></li>`
  }).join('\n')
}

function paragraph(text: string): string {
  return text === '' ? '' : `<p>${escapeHtml(text)}</p>\n`
}

/** Text that stays text between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
