/** A part of a file of another program, which is read key by key: what is not taken is told with its line. */
import type { RawMap, RawNode } from '@proj/config/layers'

/** What becomes of a line of the file. */
export interface ImportNote {
  /** Line of the file, from 1; 0: it is about the whole file. */
  readonly line: number
  readonly text: string
}

/** One mapping of the file. */
export class ForeignSection {
  /** Line it begins on. */
  readonly line: number
  readonly #members: RawMap['members']
  readonly #place: string
  readonly #notes: ImportNote[]
  readonly #taken = new Set<string>()

  /** @param place - where it is, with a dot at its end; empty for the whole file. */
  constructor(node: RawMap, place: string, notes: ImportNote[]) {
    this.line = lineOf(node)
    this.#members = node.members
    this.#place = place
    this.#notes = notes
  }

  /** Names of its keys. */
  get keys(): readonly string[] {
    return [...this.#members.keys()]
  }

  /** Whether it has a key. */
  has(key: string): boolean {
    return this.#members.has(key)
  }

  /** A single value. */
  text(key: string): string | undefined {
    const node = this.#take(key)
    return node?.kind === 'scalar' ? node.text : undefined
  }

  /** Single values; one alone is a list of one. */
  texts(key: string): readonly string[] {
    const node = this.#take(key)
    const items = node?.kind === 'list' ? node.items : node === undefined ? [] : [node]
    return items.flatMap((item) =>
      item.kind === 'scalar' && item.text !== undefined ? [item.text] : [],
    )
  }

  /** A mapping below it. */
  section(key: string): ForeignSection | undefined {
    const node = this.#take(key)
    return node?.kind === 'map'
      ? new ForeignSection(node, `${this.#place}${key}.`, this.#notes)
      : undefined
  }

  /** The mappings of a list. */
  sections(key: string): readonly ForeignSection[] {
    const node = this.#take(key)
    const items = node?.kind === 'list' ? node.items : []
    return items.flatMap((item, at) =>
      item.kind === 'map'
        ? [new ForeignSection(item, `${this.#place}${key}[${at}].`, this.#notes)]
        : [],
    )
  }

  /** Leaves a key out, and says why. */
  leave(key: string, why: string): void {
    const member = this.#members.get(key)
    if (member === undefined) return
    this.#taken.add(key)
    this.#note(lineOf(member.value, member.keyOrigin), `${this.#place}${key} is left out: ${why}`)
  }

  /** Notes something about the whole section. */
  note(text: string): void {
    this.#note(this.line, text)
  }

  /** Leaves out every key that was not taken. */
  leaveRest(why = 'adit import does not carry it over'): void {
    for (const key of this.#members.keys()) {
      if (!this.#taken.has(key)) this.leave(key, why)
    }
  }

  #note(line: number, text: string): void {
    this.#notes.push({ line, text })
  }

  #take(key: string): RawNode | undefined {
    this.#taken.add(key)
    return this.#members.get(key)?.value
  }
}

function lineOf(node: RawNode, origin = node.origin): number {
  return origin.kind === 'file' ? origin.line : 0
}
