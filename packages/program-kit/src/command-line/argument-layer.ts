import type { Layer, LayerValue, Origin } from '@proj/config'
import type { RawMember, RawNode } from '@proj/config/layers'

/** A value that arguments stand for, written as in a file. */
export type ArgumentValue =
  | string
  | readonly ArgumentValue[]
  | { readonly [key: string]: ArgumentValue | undefined }

/** Values that arguments stand for, by key path: `{ listeners: [{ endpoint: 'web' }] }`. */
export type ArgumentValues = Readonly<Record<string, ArgumentValue | undefined>>

/** Makes a layer of the values that arguments stand for; undefined ones are left out. */
export function argumentLayer(given: ArgumentValues, baseDir: string): Layer {
  const values = new Map<string, LayerValue>()
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined) values.set(key, { node: nodeOf(key, value), isPath: false, baseDir })
  }
  return { values, problems: [] }
}

function nodeOf(name: string, value: ArgumentValue): RawNode {
  const origin: Origin = { kind: 'argument', name }
  if (typeof value === 'string') return { kind: 'scalar', text: value, origin }
  if (isList(value)) return { kind: 'list', items: value.map((item) => nodeOf(name, item)), origin }
  const members = new Map<string, RawMember>()
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) members.set(key, { keyOrigin: origin, value: nodeOf(key, member) })
  }
  return { kind: 'map', members, origin }
}

function isList(value: ArgumentValue): value is readonly ArgumentValue[] {
  return Array.isArray(value)
}
