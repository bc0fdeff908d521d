/** How answers of a service are read that break the grammar of HTTP/1.1. */
export const ANSWER_STRICTNESSES = ['lenient', 'strict'] as const

/**
 * One of ANSWER_STRICTNESSES. `lenient`: an answer with one reading is repaired, and the service's connection
 * carries no other request; `strict`: each is rejected.
 */
export type AnswerStrictness = (typeof ANSWER_STRICTNESSES)[number]

/** Whether a value is one of ANSWER_STRICTNESSES. */
export function isAnswerStrictness(value: unknown): value is AnswerStrictness {
  return value === 'lenient' || value === 'strict'
}
