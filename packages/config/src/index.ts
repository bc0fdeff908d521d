export {
  CONFIG_ERRORS,
  ConfigError,
  isConfigError,
  type ConfigErrorCode,
  type ConfigErrorOptions,
} from './errors.ts'

// Addresses
export { formatHostPort, type UnixAddress } from './address.ts'
export { formatAddressBlock, parseAddressBlock, type AddressBlock } from './address-block.ts'
export { formatUrl } from './address-url.ts'
export {
  formatDialAddress,
  parseDialAddress,
  type DialAddress,
  type DialAddressOptions,
  type TcpDialAddress,
} from './dial-address.ts'
export {
  formatListenAddress,
  parseListenAddress,
  parseListenAddresses,
  separateFamilies,
  type FdAddress,
  type ListenAddress,
  type TcpListenAddress,
} from './listen-address.ts'
export { listenAddressesOverlap } from './listen-overlap.ts'
export { formatPortRange, parsePortRange, tryParsePort, type PortRange } from './port.ts'
export { formatSourceAddress, parseSourceAddress, type SourceAddress } from './source-address.ts'
export type { HostKind } from './host.ts'

// Units
export { formatDuration, parseDuration } from './duration.ts'
export { formatRate, parseRate, ratePerSecond, type Rate, type RateUnit } from './rate.ts'
export { formatSize, parseSize } from './size.ts'

// Defining settings and commands
export {
  defineSettings,
  type Rule,
  type RuleProblem,
  type SettingEntry,
  type Settings,
  type SettingsInfo,
  type SettingsDefinition,
} from './define-settings.ts'
export {
  argument,
  defineCommands,
  type Argument,
  type ArgumentOptions,
  type Command,
  type Commands,
  type CommandsInfo,
  type CommandsDefinition,
} from './define-commands.ts'
export {
  objects,
  setting,
  type ObjectList,
  type ObjectListOptions,
  type ReloadMode,
  type Resolved,
  type Setting,
  type SettingOptions,
  type SettingsTree,
} from './setting.ts'

// Types of values
export { list, type ListOptions } from './type-list.ts'
export {
  addressBlock,
  dialAddress,
  listenAddresses,
  portRange,
  sourceAddress,
} from './types-address.ts'
export { boolean, integer, number, oneOf, text } from './types-basic.ts'
export type { NumberLimits, TextOptions } from './types-basic.ts'
export { path, secret, secretUrl, url, type UrlOptions } from './types-resource.ts'
export { duration, rate, size, type UnitLimits } from './types-unit.ts'
export type { JsonSchema, ListType, ParseContext, ScalarType, ValueType } from './value-type.ts'
export { Secret } from './secret.ts'

// Loading
export {
  loadSettings,
  type Loaded,
  type LoadedSettings,
  type LoadFailure,
  type ForeignFile,
  type LoadOptions,
} from './load-settings.ts'
export {
  parseCommandLine,
  type CommandLineOptions,
  type ParsedCommand,
  type ParsedCommandLine,
} from './parse-command-line.ts'
export type { ArgumentValue, ArgumentValues } from './argument-layer.ts'
export type { Dialect } from './dialect.ts'
export type { Environment } from './expand-variables.ts'
export type { Layer, LayerValue } from './layer.ts'
export { formatOrigin, type FileOrigin, type Origin } from './origin.ts'
export { formatProblems, hasErrors, type Problem } from './problem.ts'
export type { ResolvedValue } from './resolve-settings.ts'

// Reloading
export { diffSettings, type SettingsChange } from './diff-settings.ts'
export { SettingsReloader, type ReloaderOptions, type ReloadOutcome } from './settings-reloader.ts'

// Piko
export { pikoDialect, pikoFlags, type ForeignFlags, type PikoOptions } from './piko.ts'
export type { PikoProgram } from './piko-table.ts'

// Printing
export { completionScript, type Shell } from './completion-script.ts'
export { formatHelp, type HelpOptions } from './format-help.ts'
export { formatReference } from './format-reference.ts'
export { formatValues, type ValuesOptions } from './format-values.ts'
export { jsonSchema } from './json-schema.ts'
