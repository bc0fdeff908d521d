import { oneOf, type Rate, rate, setting, type Setting } from '@proj/config'

import { LOG_LINES_PER_MINUTE } from './log-rate.ts'
import { LOG_LEVELS, type LoggerOptions } from './logger.ts'

/** The group `log` of both programs. */
export const LOG_SETTINGS: {
  /** Least important level that is logged. */
  readonly level: Setting<LoggerOptions['level']>
  /** Format of a line. */
  readonly format: Setting<LoggerOptions['format']>
  /** Most lines of one event. */
  readonly rate: Setting<Rate>
} = {
  level: setting(oneOf(LOG_LEVELS), {
    default: 'info',
    reload: 'live',
    description: 'Least important level that is logged.',
  }),
  format: setting(oneOf(['auto', 'text', 'json']), {
    default: 'auto',
    description: 'auto: text on a terminal, JSON elsewhere.',
  }),
  rate: setting(rate('events'), {
    default: `${LOG_LINES_PER_MINUTE}/m`,
    description: 'Most lines of one event; the rest is counted and logged once a minute.',
  }),
}
