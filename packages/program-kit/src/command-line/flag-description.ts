import type { ScalarType, SettingEntry } from '@proj/config'
import { isSecret } from '@proj/config/layers'

/** A flag as help and completions show it. */
export interface FlagDescription {
  /** Name without dashes. */
  readonly flag: string
  /** A shorter name, or undefined. */
  readonly alias: string | undefined
  /** One letter, or undefined. */
  readonly short: string | undefined
  /** What to write after it; undefined when it needs no value. */
  readonly value: string | undefined
  readonly description: string
  /** What is known about its value: default, limits, variable. */
  readonly notes: readonly string[]
  /** Values that a shell offers. */
  readonly completions: readonly string[]
  /** Whether its value is a path. */
  readonly isPath: boolean
  /** Whether help and completions leave it out. */
  readonly hidden: boolean
}

/** Describes the flags of a setting: one, or two for a secret; none inside a list of objects. */
export function describeFlags({ flag, variable, node }: SettingEntry): readonly FlagDescription[] {
  if (flag === undefined) return []
  if (node.kind === 'objects') {
    return [
      {
        flag,
        alias: undefined,
        short: undefined,
        value: '<json>',
        description: node.options.description,
        notes: ['an array of objects or one object', ...(variable === undefined ? [] : [variable])],
        completions: [],
        isPath: false,
        hidden: false,
      },
    ]
  }
  const type: ScalarType<unknown> = node.type.kind === 'list' ? node.type.item : node.type
  const { description, required, short, alias, hidden = false } = node.options
  const given = node.options.default
  const shown = typeof given === 'string' ? given : given?.join(',')
  const described: FlagDescription = {
    flag,
    alias,
    short,
    value: type.isBoolean ? undefined : `<${type.name}>${node.type.kind === 'list' ? ',...' : ''}`,
    description,
    notes: [
      ...(required ? ['required'] : []),
      ...(shown === undefined || shown === '' || shown === 'false' ? [] : [`default ${shown}`]),
      ...(type.isBoolean && shown === 'true' ? [`--no-${flag} turns it off`] : []),
      ...(variable === undefined ? [] : [variable]),
    ],
    completions: type.isBoolean ? [] : completionsOf(type),
    isPath: type.completes === 'file',
    hidden,
  }
  if (!isSecret(node)) return [described]
  const companion: FlagDescription = {
    ...described,
    flag: `${flag}-file`,
    alias: alias === undefined ? undefined : `${alias}-file`,
    short: undefined,
    value: '<path>',
    description: `File to read it from: ${description}`,
    notes: variable === undefined ? [] : [`${variable}_FILE`],
    completions: [],
    isPath: true,
  }
  return [described, companion]
}

/** Values of a type that a shell offers: all of them where there are only so many. */
export function completionsOf(type: ScalarType<unknown>): readonly string[] {
  return type.choices ?? (typeof type.completes === 'object' ? type.completes : [])
}
