export {
  CONFIG_ERRORS,
  ConfigError,
  isConfigError,
  type ConfigErrorCode,
  type ConfigErrorOptions,
} from './errors.ts'

// Addresses
export { formatAddressBlock, parseAddressBlock, type AddressBlock } from './address-block.ts'
export { formatUrl } from './address-url.ts'
export { formatHostPort, type UnixAddress } from './address.ts'
export {
  formatDialAddress,
  parseDialAddress,
  type DialAddress,
  type DialAddressOptions,
  type TcpDialAddress,
} from './dial-address.ts'
export type { HostKind } from './host.ts'
export {
  formatListenAddress,
  parseListenAddress,
  type FdAddress,
  type ListenAddress,
  type TcpListenAddress,
} from './listen-address.ts'
export { parseListenAddresses, separateFamilies } from './listen-addresses.ts'
export { listenAddressesOverlap } from './listen-overlap.ts'
export { parseBindHost } from './bind-host.ts'
export { formatPort, parsePort } from './port-or-any.ts'
export { formatPortRange, parsePortRange, tryParsePort, type PortRange } from './port.ts'
export {
  formatServiceAddress,
  parseServiceAddress,
  type ServiceAddress,
} from './service-address.ts'
export { formatSourceAddress, parseSourceAddress, type SourceAddress } from './source-address.ts'

// Units
export { formatDuration, parseDuration } from './duration.ts'
export { formatRate, parseRate, ratePerSecond, type Rate, type RateUnit } from './rate.ts'
export { formatSize, parseSize } from './size.ts'

// Defining settings and commands
export { argument, type Argument, type ArgumentOptions, type Command } from './command.ts'
export {
  defineCommands,
  type Commands,
  type CommandsDefinition,
  type CommandsInfo,
} from './define-commands.ts'
export {
  defineSettings,
  type Settings,
  type SettingsDefinition,
  type SettingsInfo,
} from './define-settings.ts'
export type { Rule, RuleProblem } from './rule.ts'
export type { SettingEntry } from './setting-entry.ts'
export { setting, type ReloadMode, type Setting, type SettingOptions } from './setting.ts'
export {
  objects,
  type ObjectList,
  type ObjectListOptions,
  type Resolved,
  type SettingsTree,
} from './settings-tree.ts'

// Types of values
export { sameSettings } from './same-settings.ts'
export { Secret } from './secret.ts'
export { list, type ListOptions } from './type-list.ts'
export { dialAddress, listenAddresses, serviceAddress, sourceAddress } from './types-address.ts'
export { addressBlock, bindHost, portOrAny, portRange } from './types-network.ts'
export { integer, number, type NumberLimits } from './types-number.ts'
export { path, secret, secretUrl, url, type UrlOptions } from './types-resource.ts'
export { boolean, oneOf, text, type TextOptions } from './types-text.ts'
export { duration, rate, size, type UnitLimits } from './types-unit.ts'
export type { JsonSchema, ListType, ParseContext, ScalarType, ValueType } from './value-type.ts'

// Loading
export type { ArgumentValue, ArgumentValues } from './argument-layer.ts'
export type { Dialect, ForeignFile } from './dialect.ts'
export type { Environment } from './expand-variables.ts'
export type { Layer, LayerValue } from './layer.ts'
export {
  loadSettings,
  type Loaded,
  type LoadedSettings,
  type LoadFailure,
  type LoadOptions,
} from './load-settings.ts'
export { formatOrigin, type FileOrigin, type Origin } from './origin.ts'
export {
  parseCommandLine,
  type CommandLineOptions,
  type ParsedCommand,
  type ParsedCommandLine,
} from './parse-command-line.ts'
export { formatProblems, hasErrors, type Problem } from './problem.ts'
export { withProblems } from './with-problems.ts'
export type { ResolvedValue } from './resolve-settings.ts'

// Reloading
export { diffSettings, type SettingsChange } from './diff-settings.ts'
export { FileWatch, type FileWatchOptions } from './file-watch.ts'
export { SettingsReloader, type ReloaderOptions, type ReloadOutcome } from './settings-reloader.ts'

// Piko
export type { PikoProgram } from './piko-table.ts'
export { pikoDialect, pikoFlags, type ForeignFlags, type PikoOptions } from './piko.ts'

// Printing
export { completionScript, type Shell } from './completion-script.ts'
export { formatHelp, type HelpOptions } from './format-help.ts'
export { formatReference } from './format-reference.ts'
export { formatValues, type ValuesOptions } from './format-values.ts'
export { jsonSchema } from './json-schema.ts'
