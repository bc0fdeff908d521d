/**
 * Reads YAML 1.2 or JSON (which is YAML) into raw nodes that know their line and column.
 *
 * The messages of the YAML parser are not passed on: some quote the text around the mistake, which
 * may be a secret. Its codes are translated instead.
 */
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'

import { type ConfigErrorCode, isConfigError } from '../errors.ts'
import { type FileSource, type FileText, MAX_FILE_CHARACTERS, MAX_NODES } from './file-text.ts'
import type { FileOrigin } from './origin.ts'
import type { Problem } from './problem.ts'
import { quote } from '../printing/printable.ts'
import { MAX_DEPTH, type RawMember, type RawNode } from './raw-node.ts'

const STAR_HINT = 'put the value in quotes; an address such as *:8080 can be written :8080'

/** Own words for the parser's codes: what is wrong, and what to do where that is known. */
const SYNTAX: Readonly<Record<string, readonly [message: string, hint?: string]>> = {
  BAD_ALIAS: ['a * begins an alias that does not exist', STAR_HINT],
  BAD_DQ_ESCAPE: ['an unknown escape follows \\', 'use single quotes for text with backslashes'],
  BAD_INDENT: ['the indentation does not fit the lines above, or a } or ] is missing'],
  BAD_SCALAR_START: ['a value cannot begin with this character', 'put the value in quotes'],
  BLOCK_AS_IMPLICIT_KEY: ['a second ": " stands on one line', 'put text with ": " in quotes'],
  MISSING_CHAR: ['a quote, bracket, brace, comma or colon is missing', 'look further up as well'],
  MULTILINE_IMPLICIT_KEY: ['a key goes over several lines', 'is a ":" missing?'],
  MULTIPLE_DOCS: ['there is more than one document', 'split the file at ---'],
  RESOURCE_EXHAUSTION: [`the file has more than ${MAX_DEPTH} levels`],
  TAB_AS_INDENT: ['a tab is used as indentation', 'use spaces'],
  TAG_RESOLVE_FAILED: ['tags (words after !) are not allowed'],
  UNEXPECTED_TOKEN: ['something unexpected stands here'],
}

/** What the codes mean in JSON, where they mean something else. */
const JSON_SYNTAX: typeof SYNTAX = {
  TAG_RESOLVE_FAILED: ['text and keys stand in double quotes', 'write "text"'],
}

/**
 * Reads the text of a file.
 *
 * @param form - `jsonc` is JSON with comments and commas before a closing bracket; text needs its quotes
 */
export function readFileText(
  { path, content, expand }: FileSource,
  form: 'yaml' | 'jsonc' = 'yaml',
): FileText {
  const reader = new FileReader(path, expand)
  const root = reader.read(content, form)
  return { root, problems: reader.problems }
}

/**
 * Writes blanks over the comments of JSONC, so that every other character keeps its place. What a quote
 * begins is left alone, up to the end of its line: a quote that is not closed is for the parser to find.
 */
function blankComments(content: string): string {
  return content.replace(/"(?:[^"\\\n]|\\.)*"?|\/\/[^\n\r]*|\/\*(?:[^]*?\*\/|[^]*)/g, (found) =>
    found.startsWith('/') ? found.replace(/[^\n\r]/g, ' ') : found,
  )
}

class FileReader {
  readonly problems: Problem[] = []
  readonly #path: string
  readonly #expand: (text: string) => string
  readonly #lines = new LineCounter()
  /** Nodes by anchor, the latest so far. The parser would search the document for each alias. */
  readonly #anchors = new Map<string, unknown>()
  #aliasDepth = 0
  #nodes = 0

  constructor(path: string, expand: (text: string) => string) {
    this.#path = path
    this.#expand = expand
  }

  read(content: string, form: 'yaml' | 'jsonc'): RawNode | undefined {
    const whole: FileOrigin = { kind: 'file', path: this.#path, line: 0, column: 0 }
    if (content.length > MAX_FILE_CHARACTERS) {
      const message = `the file has more than ${MAX_FILE_CHARACTERS} characters`
      this.#report('CONFIG_FILE_TOO_LARGE', whole, message)
      return undefined
    }
    // Keys are compared here: the parser compares each with all before it, minutes for a large map.
    const options = { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false } as const
    const document =
      form === 'yaml'
        ? parseDocument(content, options)
        : parseDocument(blankComments(content), { ...options, schema: 'json' })
    let lastLine = 0
    for (const { code, pos } of [...document.errors, ...document.warnings]) {
      // What is wrong with the rest of a line mostly follows from the first mistake in it.
      if (this.#at(pos[0]).line === lastLine) continue
      lastLine = this.#at(pos[0]).line
      const [message, hint] = (form === 'jsonc' ? JSON_SYNTAX[code] : undefined) ??
        SYNTAX[code] ?? ['this is not valid YAML']
      this.#report('CONFIG_FILE_SYNTAX', this.#at(pos[0]), message, hint)
    }
    if (this.problems.length > 0 || !document.contents) return undefined
    const root = this.#convert(document.contents, this.#at(0), 0)
    // What is left after a limit was reached is part of a file; judging it would mislead.
    return this.problems.some(({ code }) => code === 'CONFIG_FILE_TOO_LARGE') ? undefined : root
  }

  #convert(node: unknown, parent: FileOrigin, depth: number): RawNode {
    this.#nodes += 1
    if (this.#nodes > MAX_NODES || depth > MAX_DEPTH) return this.#tooLarge(parent)
    if (isAlias(node)) {
      const origin = this.#originOf(node.range, parent)
      const target = this.#anchors.get(node.source)
      if (target) return this.#expandAlias(target, origin, depth)
      const [message = '', hint] = SYNTAX['BAD_ALIAS'] ?? []
      this.#report('CONFIG_FILE_SYNTAX', origin, message, hint)
      return { kind: 'unread', origin }
    }
    // Inside an alias the anchors of its node are old ones.
    if (isNode(node) && node.anchor !== undefined && this.#aliasDepth === 0) {
      this.#anchors.set(node.anchor, node)
    }
    if (isScalar(node)) return this.#scalar(node, parent)
    if (isMap(node)) return this.#map(node, parent, depth)
    if (isSeq(node)) {
      const origin = this.#originOf(node.range, parent)
      const items = node.items.map((item) => this.#convert(item, origin, depth + 1))
      return { kind: 'list', items, origin }
    }
    return { kind: 'scalar', text: undefined, origin: parent }
  }

  #expandAlias(target: unknown, origin: FileOrigin, depth: number): RawNode {
    this.#aliasDepth += 1
    const node = this.#convert(target, origin, depth + 1)
    this.#aliasDepth -= 1
    return node
  }

  #scalar(node: Scalar, parent: FileOrigin): RawNode {
    const origin = this.#originOf(node.range, parent)
    // The source, not the value: 0x10, 1e3 and 010 are for the grammar of the setting to judge.
    const text = node.value === null ? undefined : node.source
    if (text === undefined) return { kind: 'scalar', text, origin }
    try {
      return { kind: 'scalar', text: this.#expand(text), origin }
    } catch (error) {
      if (!isConfigError(error)) throw error
      this.#report(error.code, origin, error.message, error.hint)
      return { kind: 'unread', origin }
    }
  }

  #map(node: YAMLMap, parent: FileOrigin, depth: number): RawNode {
    const origin = this.#originOf(node.range, parent)
    const members = new Map<string, RawMember>()
    const merged: (readonly (readonly [string, RawMember])[])[] = []
    for (const { key, value } of node.items) {
      if (!isScalar(key) || key.source === undefined) {
        this.#report('CONFIG_FILE_SYNTAX', origin, 'a key is not a plain word')
        continue
      }
      const keyOrigin = this.#originOf(key.range, origin)
      if (key.source === '<<' && key.type === 'PLAIN') {
        if (merged.length > 0) {
          this.#report('CONFIG_FILE_SYNTAX', keyOrigin, 'the key "<<" occurs twice')
        }
        merged.push(this.#merged(this.#convert(value, keyOrigin, depth + 1), keyOrigin))
        continue
      }
      if (members.has(key.source)) {
        const message = `the key ${quote(key.source)} occurs twice`
        this.#report('CONFIG_FILE_SYNTAX', keyOrigin, message)
      }
      members.set(key.source, { keyOrigin, value: this.#convert(value, keyOrigin, depth + 1) })
    }
    // The map's own keys win wherever << stands; of several maps the first one wins.
    for (const [name, member] of merged.flat()) if (!members.has(name)) members.set(name, member)
    return { kind: 'map', members, origin }
  }

  /** The members that the merge key `<<` adds: those of one map, or of a list of maps. */
  #merged(node: RawNode, origin: FileOrigin): readonly (readonly [string, RawMember])[] {
    const maps = node.kind === 'list' ? node.items : [node]
    if (maps.some(({ kind }) => kind !== 'map' && kind !== 'unread')) {
      const hint = 'write <<: *name, or <<: [*one, *other], where each names a group of keys'
      this.#report('CONFIG_FILE_SYNTAX', origin, 'what << refers to is no group of keys', hint)
    }
    return maps.flatMap((map) => (map.kind === 'map' ? [...map.members] : []))
  }

  #tooLarge(origin: FileOrigin): RawNode {
    if (!this.problems.some(({ code }) => code === 'CONFIG_FILE_TOO_LARGE')) {
      const message = `the file has more than ${MAX_NODES} values or ${MAX_DEPTH} levels`
      this.#report('CONFIG_FILE_TOO_LARGE', origin, message)
    }
    return { kind: 'unread', origin }
  }

  #report(code: ConfigErrorCode, origin: FileOrigin, message: string, hint?: string): void {
    const problem = { code, severity: 'error', origin, message } as const
    this.problems.push(hint === undefined ? problem : { ...problem, hint })
  }

  #originOf(range: readonly number[] | null | undefined, parent: FileOrigin): FileOrigin {
    return range?.[0] === undefined ? parent : this.#at(range[0])
  }

  #at(offset: number): FileOrigin {
    const { line, col } = this.#lines.linePos(offset)
    return { kind: 'file', path: this.#path, line, column: col }
  }
}
