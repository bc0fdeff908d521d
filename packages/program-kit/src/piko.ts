/** Reading the configuration files and flags of Piko v0.9, by a table of keys for each program. */
export { pikoDialect, pikoFlags, type PikoOptions, type PikoProgram } from './piko/piko-dialect.ts'
export {
  accessLogKeys,
  PIKO_LOG_KEYS,
  type PikoConversion,
  type PikoRule,
  type PikoTable,
  sameKeys,
} from './piko/piko-table.ts'
