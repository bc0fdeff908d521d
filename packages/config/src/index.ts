export {
  CONFIG_ERRORS,
  ConfigError,
  isConfigError,
  type ConfigErrorCode,
  type ConfigErrorOptions,
} from './errors.ts'

// Units
export { formatDuration, parseDuration } from './units/duration.ts'
export { formatRate, parseRate, ratePerSecond, type Rate, type RateUnit } from './units/rate.ts'
export { formatSize, parseSize } from './units/size.ts'

// Defining settings
export {
  defineSettings,
  type Rule,
  type RuleProblem,
  type Settings,
  type SettingsDefinition,
  type SettingsInfo,
} from './definition/define-settings.ts'
export type { SettingEntry } from './definition/setting-entry.ts'
export {
  setting,
  type ReloadMode,
  type Setting,
  type SettingOptions,
} from './definition/setting.ts'
export {
  objects,
  type ObjectList,
  type ObjectListOptions,
  type Resolved,
  type SettingsTree,
} from './definition/settings-tree.ts'

export { editYaml, type EditedValue } from './sources/edit-yaml.ts'

// Types of values
export { Secret } from './types/secret.ts'
export { list, type ListOptions } from './types/type-list.ts'
export {
  standard,
  type StandardOptions,
  type StandardSchema,
  type StandardSchemaResult,
} from './types/standard-schema.ts'
export {
  dialAddress,
  listenAddresses,
  serviceAddress,
  sourceAddress,
} from './types/types-address.ts'
export { addressBlock, bindHost, portOrAny, portRange } from './types/types-network.ts'
export { integer, number, type NumberLimits, percent } from './types/types-number.ts'
export { path, secret, secretUrl, url, type UrlOptions } from './types/types-resource.ts'
export { boolean, oneOf, text, textOf, type TextOptions } from './types/types-text.ts'
export { duration, rate, size, type UnitLimits } from './types/types-unit.ts'
export type {
  JsonSchema,
  ListType,
  ParseContext,
  ScalarType,
  ValueType,
} from './types/value-type.ts'

// Loading
export type { Dialect, ForeignFile } from './sources/dialect.ts'
export type { Environment } from './sources/expand-variables.ts'
export type { FileFormat, FileSource, FileText } from './sources/file-text.ts'
export type { Layer, LayerValue } from './sources/layer.ts'
export {
  loadSettings,
  withProblems,
  type Loaded,
  type LoadedSettings,
  type LoadFailure,
  type LoadOptions,
} from './sources/load-settings.ts'
export {
  formatOrigin,
  type EnvironmentOrigin,
  type FileOrigin,
  type Origin,
} from './sources/origin.ts'
export { formatProblems, hasErrors, type Problem } from './sources/problem.ts'
export type { ResolvedValue } from './sources/resolve-settings.ts'

export {
  configDirectories,
  findFile,
  type FindFileOptions,
  type FoundFile,
} from './sources/find-file.ts'

// Reloading
export { diffSettings, sameSettings, type SettingsChange } from './reloading/diff-settings.ts'
export { FileWatch, type FileWatchOptions } from './reloading/file-watch.ts'
export {
  SettingsReloader,
  type ReloaderOptions,
  type ReloadOutcome,
} from './reloading/settings-reloader.ts'

// Printing
export { formatReference } from './printing/format-reference.ts'
export { escapeLines, escapeUnprintable, printable } from './printing/printable.ts'
export { jsonSchema } from './printing/json-schema.ts'
