export { PROGRAM_ERRORS, type ProgramErrorCode } from './errors.ts'

// Beginning and ending
export { runProgram, aborted } from './process/program.ts'
export { patience } from './process/patience.ts'
export type { ProgramHost, ProgramSignals, TextOutput } from './process/program.ts'
export { EXIT, EXIT_MEANINGS, UserError } from './process/exit-code.ts'

// The command line
export {
  argument,
  type Argument,
  type ArgumentOptions,
  type Command,
} from './command-line/command.ts'
export {
  defineCommands,
  type Commands,
  type CommandsDefinition,
  type CommandsInfo,
} from './command-line/define-commands.ts'
export {
  argumentLayer,
  type ArgumentValue,
  type ArgumentValues,
} from './command-line/argument-layer.ts'
export {
  parseCommandLine,
  type CommandLineOptions,
  type ParsedCommand,
  type ParsedCommandLine,
} from './command-line/parse-command-line.ts'
export type { ForeignFlags } from './command-line/command-tokens.ts'
export { completionScript, type Shell } from './command-line/completion-script.ts'
export { formatHelp, type HelpOptions } from './command-line/format-help.ts'
export { runCommandLine } from './command-line/run-command-line.ts'
export type {
  Invocation,
  ProgramDefinition,
  Surroundings,
} from './command-line/run-command-line.ts'
export { GLOBAL_FLAGS, STANDARD_COMMANDS } from './command-line/standard-commands.ts'
export type {
  CommandList,
  GlobalFlags,
  StandardCommands,
} from './command-line/standard-commands.ts'
export { overlappingBinds } from './listeners/overlapping-binds.ts'
export type { Binds } from './listeners/overlapping-binds.ts'
export { bindsAreTcp, LISTENER_SETTINGS } from './listeners/listener-settings.ts'
export type { ListenerSettings } from './listeners/listener-settings.ts'
export { accessLists } from './listeners/access-lists.ts'
export type { AccessLists } from './listeners/access-lists.ts'
export { conflictPolicy } from './listeners/conflict-policy.ts'
export type { ConflictPolicy } from './listeners/conflict-policy.ts'
export { reloading } from './process/reloading.ts'
export type { ReloadingOptions } from './process/reloading.ts'

// What people read
export { createLogger, LOG_LEVELS } from './output/logger.ts'
export type { LoggerOptions, LogOutput } from './output/logger.ts'
export { formatLogLine } from './output/log-line.ts'
export { bindNotes, formatBindNotes } from './listeners/bind-notes.ts'
export type { BindNote, NotedListeners } from './listeners/bind-notes.ts'
export { movedBinds } from './listeners/moved-binds.ts'
export type { MovedBind } from './listeners/moved-binds.ts'
export { LiveScreen } from './output/live-screen.ts'
export type { LiveTerminal } from './output/live-screen.ts'
export { cutToWidth, displayWidth, padToWidth } from './output/display-width.ts'
export { formatTable, type TableOptions } from './output/format-table.ts'
export { formatValues, type ValuesOptions } from './output/format-values.ts'
export { ADMIN_TLS_FLAGS, type AdminTlsFiles } from './status/admin-request.ts'
export { roughSize } from './output/rough-size.ts'
export { formatServerStatus, readServerStatus } from './status/server-status.ts'
export type { ServerStatus } from './status/server-status.ts'

// The admin port
export { createAdminServer, jsonPage } from './admin/admin-server.ts'
export type {
  AdminAnswer,
  AdminDenial,
  AdminPage,
  AdminServerOptions,
} from './admin/admin-server.ts'
export { hostNames } from './admin/foreign-request.ts'
export { metricsPage } from './admin/metrics-page.ts'
export type { HistogramSample, Metric, MetricSample } from './admin/metrics-page.ts'
export type {
  AccessStatus,
  AgentPages,
  AgentStatus,
  BindStatus,
  EdgeStatus,
  FailureStatus,
  FarStatus,
  LinkStatus,
  ListenerStatus,
  PortStatus,
  ServerPages,
  SessionStatus,
  TlsStatus,
  TrafficStatus,
} from './admin/status-pages.ts'
