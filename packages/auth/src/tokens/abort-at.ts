/**
 * Longest time between two looks at the clock, ms. A timer of Node follows a clock that stops while
 * the machine sleeps and does not follow the wall clock when that is set.
 */
const LOOK_MS = 2_000

/** Shortest time between two looks, ms: each goes through all that wait. */
const MIN_LOOK_MS = 50

/** A signal does not refer to its controller, and an alarm must refer to neither. */
const controllers = new WeakMap<AbortSignal, AbortController>()

interface Alarm {
  readonly at: number
  readonly reason: Error
  readonly now: () => number
  readonly held: WeakRef<AbortController>
}

/** All that wait; as many as there are signals in use. */
const alarms = new Set<Alarm>()

const unused = new FinalizationRegistry<Alarm>((alarm) => alarms.delete(alarm))

/** The one timer of all alarms, and when it fires, ms of `performance.now`. */
let timer: NodeJS.Timeout | undefined
let firesAt = Infinity

/**
 * A signal that is aborted at a time, however far away: for what a credential allows until it expires. The
 * wall clock decides: when it is set, or after the machine slept, the signal is aborted within 2 s. It
 * keeps neither the process alive nor itself: a signal without references is collected.
 *
 * @param at - ms since the epoch; a time that has passed gives a signal that is aborted already
 * @param reason - what the signal is aborted with
 * @param now - ms since the epoch
 */
export function abortAt(
  at: number,
  reason: Error,
  now: () => number = () => Date.now(),
): AbortSignal {
  const leftMs = at - now()
  if (leftMs <= 0) return AbortSignal.abort(reason)
  const controller = new AbortController()
  const { signal } = controller
  controllers.set(signal, controller)
  const alarm: Alarm = { at, reason, now, held: new WeakRef(controller) }
  unused.register(signal, alarm)
  alarms.add(alarm)
  if (timer === undefined || performance.now() + leftMs < firesAt) lookIn(leftMs)
  return signal
}

function lookIn(leftMs: number): void {
  clearTimeout(timer)
  const delayMs = Math.min(leftMs, LOOK_MS)
  firesAt = performance.now() + delayMs
  timer = setTimeout(look, delayMs)
  timer.unref()
}

function look(): void {
  timer = undefined
  let nextMs = Infinity
  for (const alarm of alarms) {
    const leftMs = alarm.at - alarm.now()
    if (leftMs > 0) nextMs = Math.min(nextMs, leftMs)
    else {
      alarms.delete(alarm)
      alarm.held.deref()?.abort(alarm.reason)
    }
  }
  // A listener may have set an alarm, and with it the timer, before this.
  if (alarms.size > 0) lookIn(Math.max(MIN_LOOK_MS, nextMs))
}
