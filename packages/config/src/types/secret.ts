/**
 * A text that no log, error or JSON shows. It is written as `[secret]`, or as the display text given
 * to it, and inspected as an empty object; only {@link Secret.reveal} gives it away.
 */
export class Secret {
  readonly #text: string
  readonly #display: string
  readonly #file: string | undefined

  /**
   * @param text - the secret itself
   * @param details.display - what every print shows in its place
   * @param details.file - absolute path of the file it was read from
   */
  constructor(
    text: string,
    details: { readonly display?: string; readonly file?: string | undefined } = {},
  ) {
    this.#text = text
    this.#display = details.display ?? '[secret]'
    this.#file = details.file
  }

  /** Absolute path of the file it was read from, for who reads it again; undefined when it was not. */
  get file(): string | undefined {
    return this.#file
  }

  /** Returns the secret text. Call it where it is sent, and keep no copy. */
  reveal(): string {
    return this.#text
  }

  /** Returns what stands for the secret in texts. */
  toString(): string {
    return this.#display
  }

  /** Returns what stands for the secret in JSON. */
  toJSON(): string {
    return this.#display
  }
}
