/** Owners whose port is remembered; those of long ago are forgotten first. */
export const MAX_REMEMBERED_PORTS = 10_000

/** Which port an owner had last, so that `any` is the same one again. */
export class PortHistory {
  readonly #max: number
  readonly #ports = new Map<string, number>()

  /** @param max - owners to remember. */
  constructor(max: number = MAX_REMEMBERED_PORTS) {
    this.#max = max
  }

  /** Remembers a port. */
  keep(owner: string, port: number): void {
    this.#ports.delete(owner) // to the end of the row
    this.#ports.set(owner, port)
    if (this.#ports.size <= this.#max) return
    const [oldest] = this.#ports.keys()
    if (oldest !== undefined) this.#ports.delete(oldest)
  }

  /** The port an owner had last. */
  find(owner: string): number | undefined {
    return this.#ports.get(owner)
  }
}
