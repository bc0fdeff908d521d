import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { createLogger } from '../../src/output/logger.ts'
import { LogRate } from '../../src/output/log-rate.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Line {
  readonly level: string
  readonly msg: string
  readonly event?: string
  readonly lines?: number
}

function logging(rate?: LogRate, level: 'debug' | 'info' = 'info') {
  const lines: Line[] = []
  const stream = { write: (line: string) => lines.push(JSON.parse(line) as Line) }
  const logger = createLogger({
    level,
    format: 'json',
    stream,
    colour: false,
    ...(rate && { rate }),
  })
  return { logger, lines, of: (msg: string) => lines.filter((line) => line.msg === msg).length }
}

test('each kind of event has a rate of its own; what is left out is logged once a minute', () => {
  const rate = new LogRate(10)
  const { logger, lines, of } = logging(rate)
  for (let at = 0; at < 1000; at++) logger.warn({ at }, 'endpoint refused')
  for (let at = 0; at < 7; at++) logger.info('agent session ended')
  expect([of('endpoint refused'), of('agent session ended'), rate.leftOut]).toEqual([10, 7, 990])
  vi.advanceTimersByTime(60_000)
  expect(lines.slice(17)).toEqual([
    expect.objectContaining({ level: 'warn', event: 'endpoint refused', lines: 990 }),
  ])
  logger.warn({}, 'endpoint refused')
  expect(of('endpoint refused')).toBe(11)
  vi.advanceTimersByTime(120_000)
  expect(lines).toHaveLength(19) // nothing was left out since
})

test('the end of a program does not lose the count', () => {
  const { logger, lines } = (() => {
    using rate = new LogRate(1)
    const made = logging(rate)
    made.logger.error('a')
    made.logger.error('a')
    return made
  })()
  expect(logger.level).toBe('info')
  expect(lines.at(-1)).toMatchObject({ event: 'a', lines: 1 })
})

test('kinds without number share one count', () => {
  const rate = new LogRate(2)
  const { logger, lines } = logging(rate)
  for (let at = 0; at < 100_000; at++) logger.warn({}, `kind ${at}`)
  expect(lines).toHaveLength(256 + 2)
  vi.advanceTimersByTime(60_000)
  expect(lines.at(-1)).toMatchObject({ event: 'other', lines: 100_000 - 258 })
})

test('600 lines a minute by default, and no bound below info', () => {
  const { logger, of } = logging(undefined, 'debug')
  for (let at = 0; at < 2000; at++) {
    logger.info('said')
    logger.debug('told')
  }
  expect([of('said'), of('told')]).toEqual([600, 2000])
})

test('a rate without end bounds nothing', () => {
  const rate = new LogRate(Infinity)
  const { logger, of } = logging(rate)
  for (let at = 0; at < 2000; at++) logger.info('said')
  expect([of('said'), rate.leftOut]).toEqual([2000, 0])
})

test('events of the audit log have a rate each', () => {
  const rate = new LogRate(2)
  const { logger, lines } = logging(rate)
  for (let round = 0; round < 5; round++) logger.info({ event: 'name.refused' }, 'audit')
  logger.info({ event: 'token.revoked' }, 'audit')
  expect(lines.filter((line) => line.event === 'name.refused')).toHaveLength(2)
  expect(lines.filter((line) => line.event === 'token.revoked')).toHaveLength(1)
})
