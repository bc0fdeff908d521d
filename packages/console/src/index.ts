// Beginning and ending
export { runProgram, aborted } from './program.ts'
export type { ProgramHost, ProgramSignals, TextOutput } from './program.ts'
export { EXIT, EXIT_MEANINGS, UserError } from './exit-code.ts'

// The command line
export { runCommandLine } from './command-line.ts'
export type { Invocation, ProgramDefinition, Surroundings } from './command-line.ts'
export { GLOBAL_FLAGS, STANDARD_COMMANDS } from './standard-commands.ts'
export type { CommandList, GlobalFlags, StandardCommands } from './standard-commands.ts'
export { overlappingBinds } from './overlapping-binds.ts'
export type { Binds } from './overlapping-binds.ts'
export { accessLists, bindsAreTcp, conflictPolicy, LISTENER_SETTINGS } from './listener-settings.ts'
export type { AccessLists, ConflictPolicy, ListenerSettings } from './listener-settings.ts'
export { reloading } from './reloading.ts'
export type { ReloadingOptions } from './reloading.ts'

// What people read
export { createLogger, LOG_LEVELS } from './logger.ts'
export type { LoggerOptions } from './logger.ts'
export { formatLogLine } from './log-line.ts'
export { bindNotes, formatBindNotes, movedBinds } from './bind-notes.ts'
export type { BindNote, MovedBind, NotedListeners } from './bind-notes.ts'
export { formatTable } from './table.ts'
export { formatServerStatus, readServerStatus } from './server-status.ts'
export type { ServerStatus, SessionStatus } from './server-status.ts'
