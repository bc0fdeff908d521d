/**
 * Keys of the live view. A key counts as soon as it is pressed, so the terminal is in raw mode meanwhile: what it does
 * by itself otherwise, Ctrl-C, Ctrl-Z and Ctrl-\, is done here. Node gives the mode back however the process ends,
 * but for SIGKILL.
 */
import { readFileSync } from 'node:fs'

/** A terminal that is read from; `process.stdin` is one. */
export interface KeyInput extends NodeJS.ReadableStream {
  readonly isTTY?: boolean
  setRawMode?(isRaw: boolean): unknown
  unref?(): unknown
}

/** What a terminal in raw mode leaves to the program: the signal of each key. */
const SIGNALS: Readonly<Record<string, NodeJS.Signals>> = {
  '\u0003': 'SIGINT',
  '\u001a': 'SIGTSTP',
  '\u001c': 'SIGQUIT',
}

/** Reads keys until it is closed. */
export class LiveKeys {
  readonly #input: KeyInput
  readonly #onKey: (key: string) => void
  readonly #take = (chunk: Buffer | string): void => this.#read(String(chunk))
  readonly #wake = (): void => this.#open()
  #isOpen = false

  private constructor(input: KeyInput, onKey: (key: string) => void) {
    this.#input = input
    this.#onKey = onKey
    process.on('SIGCONT', this.#wake)
    this.#open()
  }

  /**
   * Begins to read.
   *
   * @returns undefined where keys cannot be read: on systems other than Linux it is not known whether the process is
   *   in the foreground, and one in the background is stopped when it touches the terminal.
   */
  static open(input: KeyInput | undefined, onKey: (key: string) => void): LiveKeys | undefined {
    if (input?.isTTY !== true || input.setRawMode === undefined || !isForeground()) return undefined
    return new LiveKeys(input, onKey)
  }

  /** Gives the terminal back. */
  close(): void {
    process.off('SIGCONT', this.#wake)
    this.#stop()
  }

  #open(): void {
    this.#stop()
    if (!isForeground()) return
    this.#isOpen = true
    this.#input.setRawMode?.(true)
    this.#input.on('data', this.#take)
    this.#input.resume()
    this.#input.unref?.()
  }

  #stop(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#input.off('data', this.#take)
    this.#input.pause()
    if (isForeground()) this.#input.setRawMode?.(false)
  }

  #read(keys: string): void {
    for (const key of keys) {
      const signal = SIGNALS[key]
      if (signal === undefined) this.#onKey(key)
      else {
        if (signal === 'SIGTSTP') this.#stop() // the shell is next; SIGCONT opens it again
        process.kill(0, signal) // as the terminal does: to the whole group
      }
    }
  }
}

/** Whether the terminal is that of this process now (proc(5): pgrp and tpgid). */
function isForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group === foreground
  } catch {
    return false
  }
}
