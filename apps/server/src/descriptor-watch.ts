// libuv closes a connection for which the process has no file descriptor, without an event in Node. So the
// server looks for a free descriptor itself.
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'

import type { Logger } from '@proj/tunnel'

/** How often it looks, ms. */
const LOOK_MS = 1_000

/** While there is none, every so many looks are logged. */
const LOOKS_PER_LINE = 60

/** What the watch tells. */
export interface DescriptorWatchOptions {
  /** Limit of open files, for the log. */
  readonly limit: number
  /** Connections now, by port, for the log. */
  readonly connections: () => Readonly<Record<string, number>>
  /** Error when none is free, at most once a minute; info when that is over. */
  readonly logger: Logger
}

/** Looks once a second whether a file descriptor is free, and logs and counts when none is. */
export class DescriptorWatch implements Disposable {
  readonly #options: DescriptorWatchOptions
  readonly #timer: NodeJS.Timeout
  #exhausted = 0
  #inRow = 0

  constructor(options: DescriptorWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  /** Looks, one a second, that found no free descriptor. */
  get exhausted(): number {
    return this.#exhausted
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const { limit, connections, logger } = this.#options
    if (hasFreeDescriptor()) {
      if (this.#inRow > 0) logger.info({ seconds: this.#inRow }, 'file descriptors are free again')
      this.#inRow = 0
      return
    }
    this.#exhausted += 1
    if (this.#inRow % LOOKS_PER_LINE === 0) {
      logger.error(
        {
          limit,
          connections: connections(),
          hint: 'raise ulimit -n, or LimitNOFILE of the service',
        },
        'no file descriptor is free: new connections are closed without an answer',
      )
    }
    this.#inRow += 1
  }
}

/** Whether the process, and the system, can open one more file. */
function hasFreeDescriptor(): boolean {
  try {
    closeSync(openSync(devNull, 'r'))
    return true
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return code !== 'EMFILE' && code !== 'ENFILE'
  }
}
