/** The code of a problem with a command line, in a file of Piko or in a file of certificates, stable between minor versions. */
export type ProgramErrorCode =
  | 'CONFIG_SECRET_EXPOSED'
  | 'CONFIG_FILE_WRITABLE'
  | 'CONFIG_CERTIFICATE_INVALID'
  | 'CONFIG_FLAG_UNKNOWN'
  | 'CONFIG_FLAG_VALUE'
  | 'CONFIG_COMMAND_UNKNOWN'
  | 'CONFIG_ARGUMENT_MISSING'
  | 'CONFIG_ARGUMENT_UNEXPECTED'
  | 'CONFIG_PIKO_UNSUPPORTED'
  | 'CONFIG_PIKO_DIFFERENT'

/** What each code means. They begin with CONFIG as those of `@proj/config`, beside which they are listed. */
export const PROGRAM_ERRORS: Readonly<Record<ProgramErrorCode, string>> = Object.freeze({
  CONFIG_SECRET_EXPOSED: 'a secret on the command line can be seen in the process list',
  CONFIG_FILE_WRITABLE: 'every user of the machine can change the default configuration file',
  CONFIG_CERTIFICATE_INVALID: 'a file of certificates holds none, or one that cannot be read',
  CONFIG_FLAG_UNKNOWN: 'a flag does not exist, or not for this command',
  CONFIG_FLAG_VALUE: 'a flag has no value, or a value where it takes none',
  CONFIG_COMMAND_UNKNOWN: 'a command does not exist',
  CONFIG_ARGUMENT_MISSING: 'a command lacks an argument',
  CONFIG_ARGUMENT_UNEXPECTED: 'a command has more arguments than it takes',
  CONFIG_PIKO_UNSUPPORTED: 'a key or flag of Piko has no counterpart',
  CONFIG_PIKO_DIFFERENT: 'a key or flag of Piko means something a little different here',
})

/** The code of a failure of `service install`, `status` or `uninstall`, stable between minor versions. */
export type ServiceErrorCode =
  | 'SERVICE_COMMAND_FAILED'
  | 'SERVICE_CONFIG_MISSING'
  | 'SERVICE_FOREIGN'
  | 'SERVICE_NO_MANAGER'
  | 'SERVICE_NO_RIGHT'
  | 'SERVICE_NOT_INSTALLED'
  | 'SERVICE_PROGRAM_HIDDEN'
  | 'SERVICE_SCOPE_UNSUPPORTED'
  | 'SERVICE_TOKEN_EXPOSED'
  | 'SERVICE_TOKEN_MISSING'

/** What each of these codes means. */
export const SERVICE_ERRORS: Readonly<Record<ServiceErrorCode, string>> = Object.freeze({
  SERVICE_COMMAND_FAILED: 'a command of the service manager failed',
  SERVICE_CONFIG_MISSING: 'the configuration file of the service does not exist',
  SERVICE_FOREIGN: 'a service of this name was written by something else',
  SERVICE_NO_MANAGER: 'systemd does not run on this machine',
  SERVICE_NO_RIGHT: 'the file of the service cannot be written or removed',
  SERVICE_NOT_INSTALLED: 'there is no service to remove',
  SERVICE_PROGRAM_HIDDEN: 'the program is in a folder that a service of the machine does not see',
  SERVICE_SCOPE_UNSUPPORTED: 'on macOS and Windows a service belongs to a user',
  SERVICE_TOKEN_EXPOSED: 'other users can read the token of the service',
  SERVICE_TOKEN_MISSING: 'the file with the token of the service does not exist',
})
