/** A queue with constant-time push and shift: a ring buffer that doubles when full. */
export class Fifo<T> {
  #slots: (T | undefined)[] = []
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The item that `shift` would return. */
  peek(): T | undefined {
    return this.#slots[this.#head]
  }

  /** Adds `item` at the end. */
  push(item: T): void {
    if (this.#size === this.#slots.length) this.#grow()
    this.#slots[(this.#head + this.#size) & (this.#slots.length - 1)] = item
    this.#size += 1
  }

  /** Removes the first item; undefined when there is none. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined // or the ring would keep the item alive
    this.#head = (this.#head + 1) & (this.#slots.length - 1)
    this.#size -= 1
    return item
  }

  /** Drops all items and the memory they used. */
  clear(): void {
    this.#slots = []
    this.#head = 0
    this.#size = 0
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = Array.from({ length: Math.max(4, old.length * 2) })
    for (let i = 0; i < this.#size; i++) {
      this.#slots[i] = old[(this.#head + i) & (old.length - 1)]
    }
    this.#head = 0
  }
}
