import type { SettingsInfo } from '../definition/define-settings.ts'
import {
  defaultTexts,
  entriesOf,
  isSecret,
  type SettingEntry,
} from '../definition/setting-entry.ts'
import type { Setting } from '../definition/setting.ts'
import type { JsonSchema, ScalarType } from '../types/value-type.ts'

/** What holds a variable may become anything. */
const VARIABLE: JsonSchema = { type: 'string', pattern: '\\$\\{' }

/** A key without value counts as not given. */
const NOTHING: JsonSchema = { type: 'null' }

/**
 * Makes the JSON Schema (draft 2020-12) of the files of settings, for editors. It refuses unknown
 * keys and wrong shapes; where a pattern cannot say what is allowed, the program is stricter.
 *
 * @param id - the address the schema is published at
 * @param title - what the file is
 */
export function jsonSchema(settings: SettingsInfo, id: string, title: string): JsonSchema {
  const root = groupSchema(settings.entries, '', settings.groups)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: id,
    title,
    ...root,
    // Names the schema inside JSON files, which have no comments.
    properties: { $schema: { type: 'string' }, ...root.properties },
  }
}

interface GroupSchema extends JsonSchema {
  readonly properties: Readonly<Record<string, JsonSchema>>
}

/** Schema of the keys that begin with `prefix`. */
function groupSchema(
  entries: readonly SettingEntry[],
  prefix: string,
  descriptions: Readonly<Record<string, string>>,
): GroupSchema {
  const properties: Record<string, JsonSchema> = {}
  // What has a flag may be given by it; only in lists of objects a file has to say everything.
  const required: string[] = []
  const exclusive: JsonSchema[] = []
  for (const { key, flag, node } of entries) {
    const [name = '', ...deeper] = key.slice(prefix.length).split('.')
    if (deeper.length > 0) {
      if (Object.hasOwn(properties, name)) continue
      const path = `${prefix}${name}.`
      const inside = entries.filter((entry) => entry.key.startsWith(path))
      const description = descriptions[path.slice(0, -1)]
      properties[name] = {
        ...(description === undefined ? {} : { description }),
        ...groupSchema(inside, path, descriptions),
        type: ['object', 'null'],
      }
    } else if (node.kind === 'objects') {
      const { description, maxItems } = node.options
      const items = groupSchema(entriesOf(node.item, undefined), '', {})
      const limit = maxItems === undefined ? {} : { maxItems }
      properties[name] = { description, type: ['array', 'null'], items, ...limit }
    } else {
      properties[name] = settingSchema(node)
      if (isSecret(node)) {
        const description = `File to read it from: ${node.options.description}`
        properties[`${name}_file`] = { description, type: ['string', 'null'] }
        // `required` alone holds for what is no object, such as a group that is left empty.
        exclusive.push({ not: { type: 'object', required: [name, `${name}_file`] } })
        if (node.options.required && flag === undefined) {
          exclusive.push({ anyOf: [{ required: [name] }, { required: [`${name}_file`] }] })
        }
      } else if (node.options.required && flag === undefined && prefix === '') required.push(name)
    }
  }
  return {
    type: 'object',
    properties,
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    ...(exclusive.length === 0 ? {} : { allOf: exclusive }),
  }
}

function settingSchema(node: Setting<unknown>): JsonSchema {
  const { description } = node.options
  const texts = defaultTexts(node)
  const preset = node.options.default === undefined ? {} : { default: defaultValue(node, texts) }
  if (node.type.kind === 'scalar') {
    return { description, ...preset, anyOf: scalarSchemas(node.type) }
  }
  const { item, maxItems } = node.type
  const items = { anyOf: [item.schema, VARIABLE] }
  // One text with commas is a list as well; which of its parts are right, a pattern cannot say.
  const anyOf = [{ type: 'array', items, maxItems }, { type: ['string', 'number', 'null'] }]
  return { description, ...preset, anyOf }
}

function scalarSchemas(type: ScalarType<unknown>): readonly JsonSchema[] {
  return [type.schema, VARIABLE, NOTHING]
}

function defaultValue(node: Setting<unknown>, texts: readonly string[]): unknown {
  const type = node.type.kind === 'list' ? node.type.item : node.type
  const values = texts.map((text) => {
    const schemaType = type.schema['type']
    if (schemaType === 'boolean') return text === 'true'
    return schemaType === 'integer' || schemaType === 'number' ? Number(text) : text
  })
  return node.type.kind === 'list' ? values : values[0]
}
