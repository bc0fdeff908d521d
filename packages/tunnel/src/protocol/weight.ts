/** Range of the weight of an agent; 100 without one. */
export const WEIGHTS: Readonly<Record<'default' | 'min' | 'max', number>> = Object.freeze({
  default: 100,
  min: 1,
  max: 10_000,
})

/** Whether a value is a weight. */
export function isWeight(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= WEIGHTS.min && Number(value) <= WEIGHTS.max
}
