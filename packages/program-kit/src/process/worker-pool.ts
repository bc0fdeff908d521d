/** Starts workers, starts those again that end, and replaces them one by one; the messages are in worker-messages.ts. */
import { EXIT, UserError } from './exit-code.ts'
import type { HandedSocket } from './hand-over.ts'
import { handleOf, type OpenSocket } from './worker-messages.ts'
import {
  type HeldSocket,
  type WorkerEnding,
  type WorkerOptions,
  WorkerProcess,
  type WorkerState,
} from './worker-process.ts'

/** A worker that was ready for so long is no failed start, ms. */
const STABLE_MS = 10_000

/** Delay before a worker is started again that failed soon after its start, ms; it doubles with each failure in a row. */
const BACKOFF_MS = { first: 100, longest: 10_000 } as const

/** Default of `giveUpAfter`. */
const MAX_FAILURES = 10

/** How long the end of a worker is waited for before the next one is replaced, ms: it may have long connections. */
const OVERLAP_MS = 5_000

/** How a pool is made. */
export interface WorkerPoolOptions extends WorkerOptions {
  /** Number of workers, 1 or more. */
  readonly count: number
  /** Failed starts in a row, with no worker ready, after which the pool gives up. Default: 10. */
  readonly giveUpAfter?: number
  /** Told of workers that end and are replaced. */
  readonly logger: {
    info(fields: Readonly<Record<string, unknown>>, message: string): void
    warn(fields: Readonly<Record<string, unknown>>, message: string): void
  }
}

/** A worker as status pages show it. */
export interface WorkerStatus {
  /** 1 up to the number of workers; a replacement has the id of the one that it replaces. */
  readonly id: number
  /** Its process id. */
  readonly pid: number
  /** `stopping`: it drains, because it was replaced or the pool ends. */
  readonly state: WorkerState
}

/** The place of a worker. */
interface Slot {
  readonly id: number
  current: WorkerProcess | undefined
  /** Ends soon after a start, in a row. */
  failures: number
  retry: NodeJS.Timeout | undefined
}

/** Workers of one program, and its listening sockets. */
export class WorkerPool<Socket extends HandedSocket = HandedSocket> {
  /** Workers that ended without being asked to, since the start. */
  deaths = 0
  /** Rejects when no worker is left and none can be started. */
  readonly failed: Promise<never>
  readonly #options: WorkerPoolOptions
  readonly #slots: readonly Slot[]
  readonly #processes = new Set<WorkerProcess>()
  #held: readonly HeldSocket<Socket>[] = []
  #fail: (error: Error) => void = () => {}
  /** Failed starts in a row. */
  #failures = 0
  #isStopping = false
  #replacing: Promise<void> = Promise.resolve()

  private constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.failed = new Promise((_, reject) => (this.#fail = reject))
    this.failed.catch(() => {}) // it may be looked at later
    this.#slots = Array.from({ length: options.count }, (_, index) => {
      return { id: index + 1, current: undefined, failures: 0, retry: undefined }
    })
  }

  /**
   * Starts all workers and waits until they can begin. Until `open` the caller needs no listening socket: it opens
   * them as late as possible, and accepts from them for a moment only.
   *
   * @throws {UserError} one ended before or took too long; then all have ended.
   */
  static async start<Socket extends HandedSocket = HandedSocket>(
    options: WorkerPoolOptions,
  ): Promise<WorkerPool<Socket>> {
    const pool = new WorkerPool<Socket>(options)
    const workers = pool.#slots.map((slot) => (slot.current = pool.#spawn(slot.id)))
    await pool.#all(workers, 'prepared')
    return pool
  }

  /** All processes by their ids, a new one before the one that it replaces. */
  get workers(): readonly WorkerStatus[] {
    return [...this.#processes]
      .map(({ id, pid, state }) => ({ id, pid, state }))
      .toSorted((a, b) => a.id - b.id || ORDER[a.state] - ORDER[b.state])
  }

  /** The listening sockets, with descriptors of this process, which does not accept from them. */
  get sockets(): readonly Socket[] {
    return this.#held.map(({ socket }) => socket)
  }

  /**
   * Takes listening sockets over and gives them to the workers. Called once.
   *
   * @param onHeld - the pool has copies: the caller closes its own, and so stops to accept from them.
   * @returns when all workers are ready.
   * @throws {UserError} one ended before or took too long; then all have ended.
   */
  async open(sockets: readonly OpenSocket<Socket>[], onHeld: () => void): Promise<void> {
    const workers = this.#slots.flatMap(({ current }) => current ?? [])
    const [first, ...others] = workers
    const copied = first?.copies(sockets.length)
    first?.give(
      sockets.map((open) => ({ socket: open.socket, handle: handleOf(open) })),
      true,
    )
    const handles = await copied
    if (first !== undefined && handles === undefined) {
      await this.stop(AbortSignal.abort())
      throw new WorkerError(first.id, await first.exited)
    }
    this.#held = (handles ?? []).map((handle, index) => {
      return { socket: { ...sockets[index]?.socket, fd: handle.fd } as Socket, handle }
    })
    onHeld()
    for (const worker of others) worker.give(this.#held)
    await this.#all(workers, 'ready')
    for (const slot of this.#slots) if (slot.current !== undefined) this.#keep(slot, slot.current)
  }

  /**
   * Replaces all workers by new processes, one after the other: the next one when the one before has ended, or some
   * seconds after its replacement was ready. A call while another one runs waits for it first.
   *
   * @throws {UserError} a new worker ended or took too long: the old one and those behind it go on.
   */
  async replace(): Promise<void> {
    const mine = this.#replacing.catch(() => {}).then(async () => await this.#replaceAll())
    this.#replacing = mine
    await mine
  }

  /**
   * Closes the sockets here, asks all workers to end, and waits for it.
   *
   * @param signal - kills those that have not ended.
   */
  async stop(signal: AbortSignal): Promise<void> {
    this.#isStopping = true
    for (const { retry } of this.#slots) clearTimeout(retry)
    // The ports are free when the last worker has closed them: what connects then is not to wait for nobody.
    for (const { handle } of this.#held) handle.close()
    this.#held = []
    for (const worker of this.#processes) worker.stop(false)
    const kill = (): void => {
      for (const worker of this.#processes) worker.kill()
    }
    signal.addEventListener('abort', kill, { once: true })
    if (signal.aborted) kill()
    await Promise.all([...this.#processes].map(async ({ exited }) => await exited))
    signal.removeEventListener('abort', kill)
  }

  async #all(workers: readonly WorkerProcess[], step: 'prepared' | 'ready'): Promise<void> {
    const reached = workers.map(async (worker) => {
      if (!(await worker.reaches(step))) throw new WorkerError(worker.id, await worker.exited)
    })
    try {
      await Promise.all(reached)
    } catch (error) {
      await this.stop(AbortSignal.abort())
      throw error
    }
  }

  /** Starts a worker and waits until it is ready. @returns how it ended, if it did before. */
  async #begin(id: number): Promise<WorkerProcess | WorkerEnding> {
    const worker = this.#spawn(id)
    if (!(await worker.reaches('prepared'))) return await worker.exited
    worker.give(this.#held)
    return (await worker.reaches('ready')) ? worker : await worker.exited
  }

  #spawn(id: number): WorkerProcess {
    const worker = new WorkerProcess(id, this.#options)
    this.#processes.add(worker)
    void worker.exited.then(() => this.#processes.delete(worker))
    return worker
  }

  async #replaceAll(): Promise<void> {
    for (const slot of this.#slots) {
      if (this.#isStopping) return
      const worker = await this.#begin(slot.id)
      if (this.#isStopping) return
      if (!(worker instanceof WorkerProcess)) throw new WorkerError(slot.id, worker)
      const { current: before } = slot
      clearTimeout(slot.retry)
      this.#keep(slot, worker)
      const fields = { number: slot.id, pid: worker.pid, before: before?.pid }
      this.#options.logger.info(fields, 'worker replaced')
      before?.stop(true)
      if (before !== undefined) await within(OVERLAP_MS, before.exited)
    }
  }

  /** Makes a worker that is ready the one of its place; it is started again when it ends. */
  #keep(slot: Slot, worker: WorkerProcess): void {
    slot.current = worker
    this.#failures = 0
    void worker.exited.then((ending) => {
      if (slot.current !== worker) return // it was replaced
      slot.current = undefined
      if (this.#isStopping) return
      this.deaths += 1
      const upMs = Math.round(performance.now() - worker.readyAt)
      if (upMs >= STABLE_MS) slot.failures = 0
      this.#again(slot, { pid: worker.pid, ...ending, upMs })
    })
  }

  #again(slot: Slot, fields: Readonly<Record<string, unknown>>): void {
    const { first, longest } = BACKOFF_MS
    const delayMs = slot.failures === 0 ? 0 : Math.min(longest, first * 2 ** (slot.failures - 1))
    slot.failures += 1
    const all = { number: slot.id, ...fields, retryAfterMs: delayMs }
    this.#options.logger.warn(all, 'worker ended: it is started again')
    slot.retry = setTimeout(() => void this.#restart(slot), delayMs)
  }

  async #restart(slot: Slot): Promise<void> {
    const worker = await this.#begin(slot.id)
    if (this.#isStopping) return
    if (worker instanceof WorkerProcess) {
      if (slot.current === undefined) {
        this.#options.logger.info({ number: slot.id, pid: worker.pid }, 'worker started')
        this.#keep(slot, worker)
      } else worker.stop(true) // it was replaced meanwhile
      return
    }
    this.#failures += 1
    const hasReady = this.#slots.some(({ current }) => current !== undefined)
    const { giveUpAfter = MAX_FAILURES } = this.#options
    if (!hasReady && this.#failures >= giveUpAfter) {
      this.#isStopping = true
      for (const { retry } of this.#slots) clearTimeout(retry)
      this.#fail(new WorkerError(slot.id, worker))
    } else if (slot.current === undefined) this.#again(slot, { ...worker })
  }
}

/** A new worker before the old one. */
const ORDER = { starting: 0, ready: 1, stopping: 2 } as const

/** A worker ended before it was ready. Its own log says why. */
class WorkerError extends UserError {
  override readonly code = 'WORKER_FAILED'

  constructor(id: number, { code, signal }: WorkerEnding) {
    const how = signal ?? (code === null ? 'it cannot be started' : `exit code ${code}`)
    super(`worker ${id} ended before it was ready (${how})`, { exitCode: EXIT.failed })
  }
}

/** Waits for an event, and for so long at most. */
async function within(ms: number, event: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([event, late])
  clearTimeout(timer)
}
