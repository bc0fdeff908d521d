/**
 * What whoever runs the program can do about each code; the README prints it too. For docs/reference/errors: no program reads it, so it is in no bundle.
 */
import type { ProgramErrorCode, ServiceErrorCode } from './errors.ts'

export const PROGRAM_ADVICE: Readonly<Record<ProgramErrorCode | ServiceErrorCode, string>> = {
  CONFIG_SECRET_EXPOSED: 'a warning: use the flag that ends in `-file`, or the variable',
  CONFIG_FILE_WRITABLE: 'a warning: take the right to write from others',
  CONFIG_CERTIFICATE_INVALID: 'give certificates in PEM',
  CONFIG_FLAG_UNKNOWN: 'correct the flag; the message has the nearest one',
  CONFIG_FLAG_VALUE: 'write `--flag=value`',
  CONFIG_COMMAND_UNKNOWN: 'correct the command; the message has the nearest one',
  CONFIG_ARGUMENT_MISSING: 'see the help of the command',
  CONFIG_ARGUMENT_UNEXPECTED: 'quote arguments that hold spaces',
  CONFIG_PIKO_UNSUPPORTED: 'remove the key once its loss is acceptable',
  CONFIG_PIKO_DIFFERENT: 'a warning: check that the new meaning is meant',
  SERVICE_COMMAND_FAILED: 'read its message, then run the command again',
  SERVICE_CONFIG_MISSING: 'make it with `config init`',
  SERVICE_FOREIGN: 'use that service, or remove it first',
  SERVICE_NO_MANAGER: '`--print` shows the unit for another machine',
  SERVICE_NO_RIGHT: 'run it as root, or add `--user`',
  SERVICE_NOT_INSTALLED: 'try it with or without `--user`: these are two services',
  SERVICE_PROGRAM_HIDDEN: 'install it for all users, or add `--user`',
  SERVICE_SCOPE_UNSUPPORTED: 'add `--user`',
  SERVICE_TOKEN_EXPOSED: 'take the right to read from others: `chmod 600`',
  SERVICE_TOKEN_MISSING: 'write the token into that file, with mode 600',
}
