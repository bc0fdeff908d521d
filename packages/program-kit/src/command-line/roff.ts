/**
 * The language of manual pages: man(7), which groff and mandoc read. Text never reaches a page without
 * {@link escapeRoff}: a line that begins with a dot is a request, and a backslash begins an escape.
 */

// Typed as they are, man would print a typographic sign in their place, which cannot be copied.
const SIGNS: Readonly<Record<string, string>> = {
  '\\': '\\(rs',
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
}

/** Escapes a text for any place in a page; line breaks in it become spaces. */
export function escapeRoff(text: string): string {
  const escaped = text
    .replaceAll(/\s*\n\s*/g, ' ')
    .replaceAll(/[\\\-'"`^~]/g, (sign) => SIGNS[sign] ?? sign)
    .replaceAll(/[^\x20-\x7e]/gu, (sign) => {
      const code = sign.codePointAt(0) ?? 0
      return code < 0x80 ? '' : `\\[u${code.toString(16).toUpperCase().padStart(4, '0')}]`
    })
  return escaped.startsWith('.') ? `\\&${escaped}` : escaped
}

/** A text in bold. */
export function bold(text: string): string {
  return `\\fB${escapeRoff(text)}\\fR`
}

/** A text in which `code` is bold and *words* are italic, as in Markdown. */
export function fromMarkdown(text: string): string {
  return text
    .split(/(`[^`]+`|\*\w+\*)/)
    .map((part, index) => {
      if (index % 2 === 0) return escapeInside(part)
      const inner = part.slice(1, -1)
      return part.startsWith('`') ? bold(inner) : `\\fI${escapeRoff(inner)}\\fR`
    })
    .join('')
}

/** A part within a line: its first sign is not the first of the line. */
function escapeInside(text: string): string {
  return escapeRoff(`x${text}`).slice(1)
}

/** First line of a page. */
export function pageTitle(
  name: string,
  section: number,
  { source, manual }: { readonly source: string; readonly manual: string },
): string[] {
  const fields = [name.toUpperCase(), String(section), '', source, manual]
  return [
    `.TH ${fields.map((field) => `"${escapeRoff(field)}"`).join(' ')}`,
    '.nh', // names of flags are not broken
    '.ad l',
  ]
}

/** Heading of a section, or of a part of one. */
export function heading(text: string, level: 1 | 2 = 1): string {
  return `${level === 1 ? '.SH' : '.SS'} "${escapeRoff(text)}"`
}

/** A term and, indented below it, what it means: lines of roff. */
export function item(term: string, ...lines: readonly string[]): string[] {
  return ['.TP', term, ...lines.flatMap((line, index) => (index === 0 ? [line] : ['.br', line]))]
}

/** Lines as they are typed, indented. */
export function typed(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['.RS 4', '.nf', ...lines.map(escapeRoff), '.fi', '.RE']
}
