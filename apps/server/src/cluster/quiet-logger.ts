import type { Logger } from '@proj/tunnel'

/** Logs what comes and goes at level debug: for the workers of one server, whose parent says when they start and end. */
export function quietLogger(logger: Logger): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.debug(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  }
}
