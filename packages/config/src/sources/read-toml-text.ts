/** Reads TOML into raw nodes that know their line and column. */
import { type AST, ParseError, parseTOML } from 'toml-eslint-parser'

import { type ConfigErrorCode, isConfigError } from '../errors.ts'
import { type FileSource, type FileText, MAX_FILE_CHARACTERS, MAX_NODES } from './file-text.ts'
import type { FileOrigin } from './origin.ts'
import type { Problem } from './problem.ts'
import { MAX_DEPTH, type RawMember, type RawNode } from './raw-node.ts'

/** Reads the text of a TOML file. */
export function readTomlText(file: FileSource): FileText {
  const reader = new TomlReader(file)
  const root = reader.read(file.content)
  // What is left after a limit was reached is part of a file; judging it would mislead.
  return { root: reader.isTooLarge ? undefined : root, problems: reader.problems }
}

/** A table that later lines of the file may still add to. */
interface OpenTable {
  readonly kind: 'map'
  readonly members: Map<string, RawMember>
  readonly origin: FileOrigin
}

/** The tables of `[[name]]`. */
interface OpenList {
  readonly kind: 'list'
  readonly items: OpenTable[]
  readonly origin: FileOrigin
}

class TomlReader {
  readonly problems: Problem[] = []
  isTooLarge = false
  readonly #file: FileSource
  /** What was made for lines of the file, so that only these are added to. */
  readonly #open = new WeakSet<object>()
  #nodes = 0

  constructor(file: FileSource) {
    this.#file = file
  }

  read(content: string): RawNode | undefined {
    const whole: FileOrigin = { kind: 'file', path: this.#file.path, line: 0, column: 0 }
    if (content.length > MAX_FILE_CHARACTERS) {
      return this.#tooLarge(whole, `the file has more than ${MAX_FILE_CHARACTERS} characters`)
    }
    const program = this.#parse(content, whole)
    if (program === undefined) return undefined
    const root = this.#table(this.#at(program))
    for (const part of program.body[0].body) {
      if (part.type === 'TOMLKeyValue') this.#add(root, part, 0)
      else this.#addTable(root, part)
    }
    return root
  }

  #parse(content: string, whole: FileOrigin): AST.TOMLProgram | undefined {
    try {
      return parseTOML(content)
    } catch (error) {
      if (error instanceof RangeError) {
        return this.#tooLarge(whole, `the file has more than ${MAX_DEPTH} levels`)
      }
      if (!(error instanceof ParseError)) throw error
      const origin = { ...whole, line: error.lineNumber, column: error.column + 1 }
      // The texts of the parser are fixed: none repeats what is in the file.
      this.#report('CONFIG_FILE_SYNTAX', origin, `this is not valid TOML: ${error.message}`)
      return undefined
    }
  }

  /** `[a.b]` and `[[a.b]]`: the last key is a new table, or one more of a list. */
  #addTable(root: OpenTable, node: AST.TOMLTable): void {
    const { keys } = node.key
    if (keys.length > MAX_DEPTH) {
      this.#tooLarge(this.#at(node))
      return
    }
    const parent = this.#descend(root, keys.slice(0, -1))
    const last = keys.at(-1)
    if (parent === undefined || last === undefined) return
    const [name, keyOrigin] = [nameOf(last), this.#at(last)]
    const table = node.kind === 'array' ? this.#table(keyOrigin) : this.#descend(parent, [last])
    if (table === undefined) return
    if (node.kind === 'array') {
      const before = parent.members.get(name)?.value
      if (before !== undefined && this.#isOpenList(before)) before.items.push(table)
      else {
        const list: OpenList = { kind: 'list', items: [table], origin: keyOrigin }
        this.#open.add(list)
        parent.members.set(name, { keyOrigin, value: list })
      }
    }
    for (const pair of node.body) this.#add(table, pair, keys.length)
  }

  #add(table: OpenTable, { key, value }: AST.TOMLKeyValue, depth: number): void {
    const { keys } = key
    const last = keys.at(-1)
    if (depth + keys.length > MAX_DEPTH) {
      this.#tooLarge(this.#at(key))
      return
    }
    const parent = this.#descend(table, keys.slice(0, -1))
    if (parent === undefined || last === undefined) return
    const member = { keyOrigin: this.#at(last), value: this.#convert(value, depth + keys.length) }
    parent.members.set(nameOf(last), member)
  }

  /** Finds or makes the tables of dotted keys; of a list, the last table is meant. */
  #descend(
    table: OpenTable,
    keys: readonly (AST.TOMLBare | AST.TOMLQuoted)[],
  ): OpenTable | undefined {
    let current = table
    for (const key of keys) {
      const name = nameOf(key)
      const found = current.members.get(name)?.value
      const last = found !== undefined && this.#isOpenList(found) ? found.items.at(-1) : found
      if (last !== undefined && this.#isOpenTable(last)) current = last
      // The parser refuses to add to what was written as a value.
      else if (last !== undefined) return undefined
      else {
        const keyOrigin = this.#at(key)
        const made = this.#table(keyOrigin)
        current.members.set(name, { keyOrigin, value: made })
        current = made
      }
    }
    return current
  }

  #convert(node: AST.TOMLContentNode, depth: number): RawNode {
    const origin = this.#at(node)
    this.#nodes += 1
    if (this.#nodes > MAX_NODES || depth > MAX_DEPTH) {
      this.#tooLarge(origin)
      return { kind: 'unread', origin }
    }
    if (node.type === 'TOMLArray') {
      return {
        kind: 'list',
        items: node.elements.map((one) => this.#convert(one, depth + 1)),
        origin,
      }
    }
    if (node.type === 'TOMLInlineTable') {
      const table = this.#table(origin)
      for (const pair of node.body) this.#add(table, pair, depth)
      return table
    }
    // Numbers and dates as they are written: the grammar of the setting judges them.
    const text =
      node.kind === 'string' ? node.value : this.#file.content.slice(node.range[0], node.range[1])
    try {
      return { kind: 'scalar', text: this.#file.expand(text), origin }
    } catch (error) {
      if (!isConfigError(error)) throw error
      this.#report(error.code, origin, error.message, error.hint)
      return { kind: 'unread', origin }
    }
  }

  #table(origin: FileOrigin): OpenTable {
    const table: OpenTable = { kind: 'map', members: new Map(), origin }
    this.#open.add(table)
    return table
  }

  #isOpenTable(node: RawNode): node is OpenTable {
    return node.kind === 'map' && this.#open.has(node)
  }

  #isOpenList(node: RawNode): node is OpenList {
    return node.kind === 'list' && this.#open.has(node)
  }

  #tooLarge(
    origin: FileOrigin,
    message = `the file has more than ${MAX_NODES} values or ${MAX_DEPTH} levels`,
  ): undefined {
    if (!this.isTooLarge) this.#report('CONFIG_FILE_TOO_LARGE', origin, message)
    this.isTooLarge = true
  }

  #report(code: ConfigErrorCode, origin: FileOrigin, message: string, hint?: string): void {
    const problem = { code, severity: 'error', origin, message } as const
    this.problems.push(hint === undefined ? problem : { ...problem, hint })
  }

  #at({ loc }: { readonly loc: AST.HasLocs['loc'] }): FileOrigin {
    const { line, column } = loc.start
    return { kind: 'file', path: this.#file.path, line, column: column + 1 }
  }
}

function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === 'TOMLBare' ? key.name : key.value
}
