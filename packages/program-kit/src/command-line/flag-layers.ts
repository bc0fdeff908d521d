import type { Layer, LayerValue, Origin, Problem, SettingEntry, SettingsTree } from '@proj/config'
import {
  type RawNode,
  elementsOf,
  entriesOf,
  givenTwice,
  isSecret,
  objectsOf,
} from '@proj/config/layers'

import type { Flag, FlagUse } from './command-tokens.ts'

/** The flags of a command line: those of settings, of every command, of one command. */
export interface FlagLayers {
  /** Flags that every command takes. */
  readonly globals: Layer
  /** Flags of this command alone. */
  readonly command: Layer
  readonly settings: Layer
  /** Flags of other commands, secrets in the open or given twice. */
  readonly problems: readonly Problem[]
}

/** Where the flags of a command belong. */
export interface FlagOwners {
  /** Name of the command. */
  readonly command: string
  /** Flags that every command takes. */
  readonly globals: readonly SettingEntry[]
  /** Flags of this command alone. */
  readonly own: readonly SettingEntry[]
  /** Settings this command uses. */
  readonly settings: readonly SettingEntry[]
}

/**
 * Sorts flags into those of settings, of every command and of one command.
 *
 * @param table - every flag there is; commands may share a name
 * @param baseDir - absolute directory that relative paths start from
 */
export function sortFlags(
  uses: readonly FlagUse[],
  table: ReadonlyMap<string, readonly Flag[]>,
  owners: FlagOwners,
  baseDir: string,
): FlagLayers {
  const layers = { globals: new Map(), command: new Map(), settings: new Map() }
  const problems: Problem[] = []
  for (const use of uses) {
    const candidates = table.get(use.flag) ?? []
    const find = (entries: readonly SettingEntry[]) =>
      candidates.find(({ entry }) => entries.includes(entry))
    const [globalFlag, ownFlag] = [find(owners.globals), find(owners.own)]
    const flag = globalFlag ?? ownFlag ?? find(owners.settings)
    const values = globalFlag ? layers.globals : ownFlag ? layers.command : layers.settings
    if (flag) problems.push(...addFlag(values, flag, use, baseDir))
    else {
      const message = `the command ${owners.command} has no flag --${use.flag}`
      problems.push({ code: 'CONFIG_FLAG_UNKNOWN', severity: 'error', message })
    }
  }
  return {
    globals: { values: layers.globals, problems: [] },
    command: { values: layers.command, problems: [] },
    settings: { values: layers.settings, problems: [] },
    problems,
  }
}

function addFlag(
  values: Map<string, LayerValue>,
  { entry, isPath }: Flag,
  { flag, shown, text }: FlagUse,
  baseDir: string,
): Problem[] {
  const { key, node, variable } = entry
  const problems: Problem[] = []
  const single: RawNode = { kind: 'scalar', text, origin: { kind: 'flag', name: shown } }
  const before = values.get(key)
  if (node.kind === 'setting' && isSecret(node) && !isPath) {
    const hint = `use --${flag}-file or the variable ${variable}`
    problems.push(secretExposed(key, single.origin, hint))
  }
  if (node.kind === 'objects' && namesSecret(node.item, text)) {
    const hint = `name a file of the secret, or use the variable ${variable}`
    problems.push(secretExposed(key, single.origin, hint))
  }
  if (before && before.isPath !== isPath) problems.push(givenTwice(key, single))
  const isList = node.kind === 'objects' || node.type.kind === 'list'
  if (isList) {
    const earlier = before?.node.kind === 'list' ? before.node.items : []
    const added = node.kind === 'objects' ? objectsOf(single) : elementsOf(single)
    const items = [...earlier, ...(added ?? [])]
    values.set(key, { node: { kind: 'list', items, origin: single.origin }, isPath, baseDir })
  } else values.set(key, { node: single, isPath, baseDir })
  return problems
}

function secretExposed(key: string, origin: Origin, hint: string): Problem {
  return {
    code: 'CONFIG_SECRET_EXPOSED',
    severity: 'warning',
    key,
    origin,
    message: 'a secret on the command line is visible to every user of this machine',
    hint,
  }
}

/** Whether the JSON of a list of objects has the key of a secret. */
function namesSecret(item: SettingsTree, json: string): boolean {
  return entriesOf(item, undefined).some(({ key, node }) =>
    node.kind === 'objects'
      ? namesSecret(node.item, json)
      : isSecret(node) && json.includes(`"${key.slice(key.lastIndexOf('.') + 1)}"`),
  )
}
