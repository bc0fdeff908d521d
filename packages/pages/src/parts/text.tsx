/** Texts of others, and how they are copied and saved. */
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'

import { nameOfCharacter, UNSEEN } from './format.ts'

/**
 * A text of others: always left to right, and what is not drawn, or would change the order of the rest, is shown as
 * its name.
 */
export function Foreign({ text }: { readonly text: string }): JSX.Element {
  if (!UNSEEN.test(text)) return <bdi dir="ltr">{text}</bdi>
  const parts = text.split(new RegExp(`(${UNSEEN.source})`, 'u'))
  return (
    <bdi dir="ltr">
      {parts.map((part, at) =>
        at % 2 === 0 ? (
          part
        ) : (
          <span class="escape" key={at}>
            {nameOfCharacter(part)}
          </span>
        ),
      )}
    </bdi>
  )
}

/** A button that copies, and says so. */
export function CopyButton({
  text,
  label = 'Copy',
  children,
}: {
  readonly text: string | (() => Promise<string>)
  readonly label?: string
  readonly children?: ComponentChildren
}): JSX.Element {
  const [said, say] = useState('')
  const copy = async (): Promise<void> => {
    try {
      const value = typeof text === 'string' ? text : await text()
      say((await copyText(value)) ? 'Copied' : 'Not allowed')
    } catch (error) {
      say(error instanceof Error ? error.message : 'It failed')
    }
    setTimeout(() => say(''), 2_000)
  }
  return (
    <button type="button" onClick={() => void copy()}>
      {said === '' ? (children ?? label) : said}
    </button>
  )
}

/** Saves bytes as a file. */
export function saveFile(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/** Copies a text; false where the browser does not allow it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}
