/** A dialog with fields; what is wrong with them is said inside. */
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'

/** A form over the page. */
export function FormDialog({
  title,
  verb,
  children,
  onSend,
  onClose,
}: {
  readonly title: string
  readonly verb: string
  readonly children: ComponentChildren
  /** Rejects with what is wrong. */
  readonly onSend: () => Promise<unknown>
  readonly onClose: () => void
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const isSending = useRef(false)
  const [problem, setProblem] = useState('')
  const id = useId()
  useEffect(() => dialog.current?.showModal(), [])
  const send = async (): Promise<void> => {
    // a second click would make a second token, whose secret is never shown
    if (isSending.current) return
    isSending.current = true
    setProblem('')
    try {
      await onSend()
      dialog.current?.close()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    } finally {
      isSending.current = false
    }
  }
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void send()
        }}
      >
        {children}
        <p class="bad" role="alert">
          {problem}
        </p>
        <div class="actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="main">
            {verb}
          </button>
        </div>
      </form>
    </dialog>
  )
}

/** A text field with its name above and a hint below. */
export function Field({
  name,
  hint,
  value,
  onValue,
  isRequired = false,
}: {
  readonly name: string
  readonly hint?: string
  readonly value: string
  readonly onValue: (value: string) => void
  readonly isRequired?: boolean
}): JSX.Element {
  const id = useId()
  return (
    <p class="field">
      <label for={id}>{name}</label>
      <input
        id={id}
        dir="auto"
        autocomplete="off"
        required={isRequired}
        value={value}
        {...(hint !== undefined && { 'aria-describedby': `${id}-hint` })}
        onInput={({ currentTarget }) => onValue(currentTarget.value)}
      />
      {hint !== undefined && (
        <span class="muted" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </p>
  )
}
