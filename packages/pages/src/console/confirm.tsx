/** Acts that change something: each asks once, and says what will happen. */
import { signal } from '@preact/signals'
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { reloadShown } from './resource.ts'
import { failed, notice, session, wantsSignIn } from './session.ts'

/** A question before an act. */
export interface Question {
  readonly title: string
  /** What will happen. */
  readonly text: ComponentChildren
  /** On the button: `Revoke printers`. */
  readonly verb: string
  readonly run: () => Promise<unknown>
  /** What is said afterwards. */
  readonly done: string
}

const question = signal<Question | undefined>(undefined)

/** Does something when its reader may, and says why it failed. */
export async function act(run: () => Promise<unknown>, done: string): Promise<boolean> {
  notice.value = ''
  try {
    await run()
    notice.value = done
    return true
  } catch (error) {
    notice.value = error instanceof Error ? error.message : String(error)
    failed(error)
    return false
  } finally {
    void reloadShown()
  }
}

/** Asks before something is done; first for credentials, where changes need them. */
export function ask(asked: Question): void {
  if (session.peek()?.mayChange === false) wantsSignIn.value = true
  else question.value = asked
}

/** Whether the form for a change may be shown; else the one for signing in is. */
export function mayChange(): boolean {
  if (session.peek()?.mayChange !== false) return true
  wantsSignIn.value = true
  return false
}

/** The dialog of the question that is asked now. */
export function Confirm(): JSX.Element | null {
  const asked = question.value
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (asked !== undefined) dialog.current?.showModal()
  }, [asked])
  if (asked === undefined) return null
  const close = (): void => {
    dialog.current?.close()
    question.value = undefined
  }
  return (
    <dialog
      ref={dialog}
      aria-labelledby="question-title"
      onClose={() => (question.value = undefined)}
    >
      <h2 id="question-title">{asked.title}</h2>
      <div>{asked.text}</div>
      <div class="actions">
        <button type="button" autofocus onClick={close}>
          Cancel
        </button>
        <button
          type="button"
          class="main danger"
          onClick={() => {
            close()
            void act(asked.run, asked.done)
          }}
        >
          {asked.verb}
        </button>
      </div>
    </dialog>
  )
}
