/**
 * For those who write a source of settings, such as a command line: what a source turns its text
 * into, and how layers become values. Programs that only load settings need none of it.
 */

// A source is a layer: raw nodes by key
export { givenTwice, type Layer, type LayerValue } from './sources/layer.ts'
export {
  elementsOf,
  objectsOf,
  type RawMap,
  type RawMember,
  type RawNode,
} from './sources/raw-node.ts'
export { environmentLayer } from './sources/environment-layer.ts'
export { resolveSettings } from './sources/resolve-settings.ts'

export { readFileText } from './sources/read-file-text.ts'

// The settings a source may name
export { entriesOf, flagName, isSecret, type SettingEntry } from './definition/setting-entry.ts'

export {
  describeSettings,
  type SettingDescription,
  type SettingGroup,
  settingsIntro,
} from './printing/describe-settings.ts'

// What a source says about mistakes
export { nearest } from './sources/nearest.ts'
export { type Problem } from './sources/problem.ts'
export { quote } from './printing/printable.ts'
