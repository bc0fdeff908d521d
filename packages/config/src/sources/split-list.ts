/** The elements of a list that is written as one text, as in a flag or a variable. */
export type SplitList =
  | { readonly elements: readonly string[] }
  | { readonly failure: string; readonly hint: string }

/**
 * Splits one text into the elements of a list. There are two forms: elements between commas, where one
 * in double quotes may contain commas (`a,"b,c"`; `""` in it is a quote), and a JSON array
 * (`["a","b,c"]`). An IPv6 address in brackets is no array.
 */
export function splitList(text: string): SplitList {
  const trimmed = text.trim()
  if (trimmed === '') return { elements: [] }
  if (/^\[\s*(?:["{[\]]|$)/.test(trimmed)) return fromJson(trimmed)
  const elements: string[] = []
  let at = 0
  for (;;) {
    const element = takeElement(trimmed, at)
    if ('failure' in element) return element
    elements.push(element.text)
    if (element.end >= trimmed.length) return { elements }
    at = element.end + 1
  }
}

/** Writes elements so that `splitList` reads them back. */
export function joinList(elements: readonly string[]): string {
  return elements
    .map((element) =>
      /,|^\s|\s$|^"|^$/.test(element) || /^\[\s*["{[\]]/.test(element)
        ? `"${element.replaceAll('"', '""')}"`
        : element,
    )
    .join(', ')
}

function fromJson(text: string): SplitList {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return {
      failure: 'a list that begins with [ must be a JSON array',
      hint: 'write ["a","b,c"], or elements between commas: a,"b,c"',
    }
  }
  const items = value as readonly unknown[]
  const odd = items.findIndex((item) => !['string', 'number', 'boolean'].includes(typeof item))
  if (odd < 0) return { elements: items.map(String) }
  return {
    failure: `element ${odd + 1} of the JSON array is not a single value`,
    hint: 'write texts and numbers only',
  }
}

/** Takes the element that starts at a position, up to the next comma. */
function takeElement(
  text: string,
  start: number,
): { readonly text: string; readonly end: number } | { failure: string; hint: string } {
  const [blanks = ''] = /^\s*/.exec(text.slice(start)) ?? []
  const at = start + blanks.length
  if (text[at] !== '"') {
    const comma = text.indexOf(',', at)
    const end = comma < 0 ? text.length : comma
    return { text: text.slice(at, end).trim(), end }
  }
  const [quoted] = /^"(?:[^"]|"")*"/.exec(text.slice(at)) ?? []
  if (quoted === undefined) {
    return { failure: 'a quote is not closed', hint: 'write "b,c", and "" for a quote inside it' }
  }
  const [rest = ''] = /^\s*/.exec(text.slice(at + quoted.length)) ?? []
  const end = at + quoted.length + rest.length
  if (end < text.length && text[end] !== ',') {
    return {
      failure: 'text follows a closed quote',
      hint: 'write a comma behind it, or "" for a quote',
    }
  }
  return { text: quoted.slice(1, -1).replaceAll('""', '"'), end }
}
