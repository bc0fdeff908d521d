import type { EventEmitter } from 'node:events'

/** Listens to events of an emitter until the returned function is called. */
export function listen(
  emitter: EventEmitter,
  listeners: Readonly<Record<string, () => void>>,
): () => void {
  for (const [event, listener] of Object.entries(listeners)) emitter.on(event, listener)
  return () => {
    for (const [event, listener] of Object.entries(listeners)) emitter.off(event, listener)
  }
}
