/**
 * A text that no log, error or JSON shows. It is written as `[secret]`, or as the display text given
 * to it, and inspected as an empty object; only {@link Secret.reveal} gives it away.
 */
export class Secret {
  readonly #text: string
  readonly #display: string

  /**
   * @param text - the secret itself
   * @param display - what every print shows in its place
   */
  constructor(text: string, display = '[secret]') {
    this.#text = text
    this.#display = display
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
