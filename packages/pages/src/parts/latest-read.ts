/** Reads one at a time, so that the last one began after the last change. */
export class LatestRead {
  readonly #read: () => Promise<void>
  #running: Promise<void> | undefined
  #isOutdated = false

  /** @param read - never rejects. */
  constructor(read: () => Promise<void>) {
    this.#read = read
  }

  /** Whether one is running. */
  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** Reads; where one is running, once more when it has ended. Resolves when nothing is running. */
  async again(): Promise<void> {
    this.#isOutdated = true
    this.#running ??= this.#run()
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#isOutdated) {
      this.#isOutdated = false
      await this.#read()
    }
    this.#running = undefined
  }
}
