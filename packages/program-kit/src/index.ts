export {
  PROGRAM_ERRORS,
  type ProgramErrorCode,
  SERVICE_ERRORS,
  type ServiceErrorCode,
} from './errors.ts'

// Start and end
export { EXIT, EXIT_MEANINGS, UserError } from './process/exit-code.ts'
export {
  CLOSE_MS,
  drainOnStop,
  type DrainOptions,
  type DrainTimes,
  drainTimes,
  graceSignal,
} from './process/drain.ts'
export {
  aborted,
  type ProgramHost,
  type ProgramSignals,
  runProgram,
  type TextOutput,
} from './process/program.ts'
export {
  HandOverError,
  type HandedSocket,
  type HandOverHost,
  Predecessor,
  Successor,
  type SuccessorOptions,
} from './process/hand-over.ts'
export type { HandleChannel, OpenSocket } from './process/worker-messages.ts'
export type { WorkerLoad } from './admin/worker-load.ts'
export { WorkerParent } from './process/worker-parent.ts'
export { WorkerPool, type WorkerPoolOptions, type WorkerStatus } from './process/worker-pool.ts'
export { certificatesIn, readCertificates, readPem, readPemFile } from './process/read-pem.ts'
export { readRegularFile } from './process/read-regular-file.ts'
export {
  findObstacle,
  type ProcessOrigin,
  readOrigin,
  type Restart,
} from './process/process-origin.ts'
export { reloading, type ReloadingOptions } from './process/reloading.ts'

// The command line
export {
  argument,
  type Argument,
  type ArgumentOptions,
  type Command,
} from './command-line/command.ts'
export {
  argumentLayer,
  type ArgumentValue,
  type ArgumentValues,
} from './command-line/argument-layer.ts'
export type { ForeignFlags } from './command-line/command-tokens.ts'
export { ask, type Question, readInput, type TextInput } from './command-line/ask.ts'
export { completionScript, type Shell } from './command-line/completion-script.ts'
export {
  type Commands,
  type CommandsDefinition,
  type CommandsInfo,
  defineCommands,
} from './command-line/define-commands.ts'
export { formatHelp, type HelpOptions } from './command-line/format-help.ts'
export {
  formatManual,
  type ManualOptions,
  type ManualSection,
} from './command-line/format-manual.ts'
export {
  type CommandLineOptions,
  parseCommandLine,
  type ParsedCommand,
  type ParsedCommandLine,
} from './command-line/parse-command-line.ts'
export {
  type Invocation,
  type DefaultFile,
  defaultFileOf,
  findDefaultFile,
  type ProgramDefinition,
  runCommandLine,
  type Surroundings,
} from './command-line/run-command-line.ts'
export {
  type CommandList,
  GLOBAL_FLAGS,
  type GlobalFlags,
  STANDARD_COMMANDS,
  type StandardCommands,
} from './command-line/standard-commands.ts'

// As a service of the machine
export {
  installService,
  readServiceState,
  type ServiceState,
  uninstallService,
} from './service/manage-service.ts'
export { planService, type ServicePlace, type ServicePlan } from './service/service-plan.ts'
export {
  launchdAgent,
  type ServiceCommand,
  type ServiceDefinition,
  systemdUnit,
  systemdUserUnit,
  windowsTask,
} from './service/service-text.ts'

// Listeners
export {
  bindNotes,
  type BindNote,
  formatBindNotes,
  type MovedBind,
  movedBinds,
  type NotedListeners,
} from './listeners/bind-notes.ts'
export {
  accessLists,
  type AccessLists,
  bindsAreTcp,
  conflictPolicy,
  type ConflictPolicy,
  LISTENER_SETTINGS,
  type ListenerSettings,
} from './listeners/listener-settings.ts'
export { type Binds, overlappingBinds } from './listeners/overlapping-binds.ts'

// Output
export { cutToWidth, displayWidth, padToWidth } from './output/display-width.ts'
export { formatTable, type TableOptions } from './output/format-table.ts'
export { formatValues, type ValuesOptions } from './output/format-values.ts'
export { LiveScreen, type LiveTerminal } from './output/live-screen.ts'
export { jsonLine } from './output/json-line.ts'
export { formatLogLine } from './output/log-line.ts'
export { LogRate } from './output/log-rate.ts'
export { LOG_SETTINGS } from './output/log-settings.ts'
export { RateBound } from './output/rate-bound.ts'
export { createLogger, type LoggerOptions, type LogOutput } from './output/logger.ts'
export { roughSize } from './output/rough-size.ts'

// The status of a server, as its admin port tells it
export { ADMIN_TLS_FLAGS, type AdminTlsFiles } from './status/admin-request.ts'
export { formatServerStatus, readServerStatus, type ServerStatus } from './status/server-status.ts'

// What visitors are told
export { visitorAnswer, type VisitorAnswer, type VisitorError } from './visitors/visitor-answer.ts'
export {
  VISITOR_WORDING,
  visitorWording,
  type VisitorPart,
  type VisitorWording,
} from './visitors/visitor-wording.ts'

// The admin port
export {
  type AdminApi,
  type AdminApiRequest,
  type AdminCaller,
  type AdminAnswer,
  type AdminDenial,
  type AdminCommand,
  type AdminPage,
  type AdminServerOptions,
  type AdminSite,
  createAdminServer,
  jsonPage,
} from './admin/admin-server.ts'
export {
  findForeignRequest,
  type ForeignRequest,
  hostNames,
  isSameOrigin,
  type PageRule,
} from './admin/foreign-request.ts'
export { type PageStreamSource, streamToPage } from './admin/page-stream.ts'
export { PAGE_HEADERS, type PageFile, sendPageFile } from './admin/page-files.ts'
export {
  type HistogramSample,
  type Metric,
  metricsPage,
  formatMetrics,
  processMetrics,
  type MetricSample,
} from './admin/metrics-page.ts'
export type {
  AccessStatus,
  AgentPages,
  AgentStatus,
  BindStatus,
  ConnectionStatus,
  EdgeStatus,
  FailureReason,
  FailureStatus,
  FarStatus,
  GossipEntries,
  GossipNodeStatus,
  LinkStatus,
  ListenerStatus,
  RecentRequest,
  RefusalStatus,
  NodeDetails,
  NodeStatus,
  PortStatus,
  ServerPages,
  ReadyStatus,
  ReturnedEndpoints,
  SessionStatus,
  TlsStatus,
  TrafficStatus,
} from './admin/status-pages.ts'

// Traces
export {
  openSpanExporter,
  type TracedProgram,
  type TracingSettings,
  tracingSettings,
} from './tracing/tracing-settings.ts'
export type { ExportProblem, SpanExporter, SpanExportLimits } from './tracing/span-exporter.ts'
export { type Attributes, encodeSpan, type Span } from './tracing/otlp.ts'
export { httpAttributes, shownMethod } from './tracing/http-attributes.ts'
export {
  childContext,
  formatTraceparent,
  parseTraceparent,
  SAMPLED,
  type TraceContext,
} from './tracing/trace-context.ts'
