import type { RawMap, RawMember } from '@proj/config/layers'

/** Most lines that are read. */
const MAX_LINES = 100_000

/** Reads an INI file, as frp has it, into a mapping of sections. What is no section, comment or pair is not read. */
export function readIni(content: string, path: string): RawMap {
  const at = (line: number) => ({ kind: 'file' as const, path, line, column: 1 })
  const root = new Map<string, RawMember>()
  let members: Map<string, RawMember> | undefined
  for (const [index, text] of content.split(/\r?\n/, MAX_LINES).entries()) {
    const origin = at(index + 1)
    const [, name] = /^\s*\[([^\]]+)\]\s*$/.exec(text) ?? []
    if (name !== undefined) {
      members = new Map()
      root.set(name.trim(), { keyOrigin: origin, value: { kind: 'map', members, origin } })
      continue
    }
    const [, key, value = ''] = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(text) ?? []
    if (key === undefined) continue
    const items = key === 'custom_domains' ? value.split(',').map((one) => one.trim()) : undefined
    members?.set(key, {
      keyOrigin: origin,
      value:
        items === undefined
          ? { kind: 'scalar', text: value, origin }
          : {
              kind: 'list',
              items: items.map((item) => ({ kind: 'scalar' as const, text: item, origin })),
              origin,
            },
    })
  }
  return { kind: 'map', members: root, origin: at(1) }
}
