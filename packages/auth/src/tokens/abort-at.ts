/** Longest delay a timer of Node takes, ms; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** A signal does not refer to its controller, and the timer must refer to neither. */
const controllers = new WeakMap<AbortSignal, AbortController>()

const unused = new FinalizationRegistry<Alarm>((alarm) => clearTimeout(alarm.timer))

interface Alarm {
  timer?: NodeJS.Timeout
}

/**
 * A signal that is aborted at a time, however far away: for what a credential allows until it expires. It
 * keeps neither the process alive nor itself: a signal without references is collected with its timer.
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
  if (at <= now()) return AbortSignal.abort(reason)
  const controller = new AbortController()
  const { signal } = controller
  controllers.set(signal, controller)
  const alarm: Alarm = {}
  unused.register(signal, alarm)
  const held = new WeakRef(controller)
  const wait = (): void => {
    const left = at - now()
    if (left <= 0) held.deref()?.abort(reason)
    else {
      alarm.timer = setTimeout(wait, Math.min(left, MAX_TIMER_MS))
      alarm.timer.unref()
    }
  }
  wait()
  return signal
}
