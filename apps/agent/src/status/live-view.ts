import { LiveScreen, type Surroundings, type TextOutput } from '@proj/program-kit'

import type { AgentStatus, FarStatus } from '@proj/program-kit'
import { type DescribedAgent, describeAgent, farSide } from './describe-agent.ts'
import { formatLiveView, publicUrls, type Rate } from './format-live-view.ts'
import { type KeyInput, LiveKeys } from './live-keys.ts'
import type { AgentSettings } from '../settings.ts'

/** Time between two drawings, ms: often enough to look alive, seldom enough to cost nothing. */
const DRAW_MS = 500

/** Time between two questions to the server about the far sides, ms. */
const ASK_MS = 5_000

/** Requests that are shown, where there is room. */
const RECENT = 8

/** Far sides that are asked for; the others are shown as not known. */
const MAX_ASKED = 100

/** Whether a person looks at the program: both outputs are a terminal that can draw. */
export function isWatched(
  { live, log }: Pick<AgentSettings, 'live' | 'log'>,
  { stdout, stderr, env }: Pick<Surroundings, 'stdout' | 'stderr' | 'env'>,
  json: boolean,
): boolean {
  const isQuiet = log.level === 'error' || log.level === 'silent'
  const isPlain = json || log.format === 'json' || isQuiet || !live
  const isDumb = env['TERM'] === 'dumb' || (env['CI'] ?? '') !== ''
  return !isPlain && !isDumb && stdout.isTTY === true && stderr.isTTY === true
}

/** Shows the state of the agent at the end of the terminal; log lines pass above it. */
export class LiveView {
  /** Where the log is to be written. */
  readonly output: { write(text: string): void; readonly isTTY: boolean }
  readonly #terminal: TextOutput
  readonly #screen: LiveScreen
  readonly #colour: boolean
  readonly #far = new Map<string, FarStatus>()
  readonly #redraw = (): void => void this.#draw()
  #described: DescribedAgent | undefined
  #before: { readonly atMs: number; readonly bytes: readonly Rate[] } | undefined
  #rates: readonly Rate[] = []
  #drawing = false
  #draws: NodeJS.Timeout | undefined
  #asks: NodeJS.Timeout | undefined
  #keys: LiveKeys | undefined
  /** Which of the public URLs is shown as a QR code. */
  #code: number | undefined
  #urls = 0

  constructor(terminal: TextOutput, colour: boolean) {
    this.#terminal = terminal
    this.#screen = new LiveScreen(terminal)
    this.#colour = colour
    this.output = { write: (text) => this.#screen.print(text), isTTY: true }
  }

  /** @param input - the terminal whose keys are read. Default: none are. */
  start(described: DescribedAgent, input?: KeyInput): void {
    this.#described = described
    this.#terminal.on('resize', this.#redraw)
    this.#keys = LiveKeys.open(input, (key) => {
      if (key.toLowerCase() !== 'q') return
      const next = this.#code === undefined ? 0 : this.#code + 1
      this.#code = next < Math.max(1, this.#urls) ? next : undefined
      void this.#draw()
    })
    this.#draws = setInterval(this.#redraw, DRAW_MS)
    this.#asks = setInterval(() => void this.#ask(), ASK_MS)
    this.#draws.unref()
    this.#asks.unref()
    described.stop.addEventListener('abort', this.#redraw, { once: true })
    void this.#draw()
  }

  /** Asks about the far sides now rather than soon. */
  async refresh(): Promise<void> {
    await this.#ask()
    await this.#draw()
  }

  /** Takes the view away. */
  [Symbol.dispose](): void {
    this.#keys?.close()
    clearInterval(this.#draws)
    clearInterval(this.#asks)
    this.#terminal.off('resize', this.#redraw)
    this.#described?.stop.removeEventListener('abort', this.#redraw)
    this.#described = undefined
    this.#screen.close()
  }

  async #draw(): Promise<void> {
    if (this.#drawing || this.#described === undefined) return
    this.#drawing = true
    try {
      const known = new Map(this.#far)
      for (const { made } of this.#described.running.accesses) {
        if (!known.has(made.endpoint)) known.set(made.endpoint, { state: 'unknown' })
      }
      const status = await describeAgent(this.#described, known)
      if (this.#described === undefined) return // closed meanwhile
      this.#measure(status)
      const { columns, maxLines } = this.#screen
      const inspector = this.#described.openInspector?.()
      this.#urls = publicUrls(status).length
      const options = {
        columns,
        maxLines,
        colour: this.#colour,
        rates: this.#rates,
        inspector,
        recent: this.#described.recent?.(RECENT) ?? [],
        hasKeys: this.#keys !== undefined,
        code: status.stopping ? undefined : this.#code,
      }
      this.#screen.draw(formatLiveView(status, options))
    } finally {
      this.#drawing = false
    }
  }

  /** Rates since the last drawing; a resize may draw twice in a moment, which measures nothing. */
  #measure({ listeners, accesses }: AgentStatus): void {
    const atMs = performance.now()
    const bytes = [...listeners, ...accesses].map(({ bytesToService, bytesFromService }) => ({
      toService: bytesToService,
      fromService: bytesFromService,
    }))
    const seconds = (atMs - (this.#before?.atMs ?? atMs)) / 1000
    if (this.#before !== undefined && seconds < DRAW_MS / 2000) return
    this.#rates = bytes.map((now, index) => {
      const then = this.#before?.bytes[index] ?? now
      const per = (more: number): number => (seconds > 0 ? Math.max(0, more / seconds) : 0)
      return {
        toService: per(now.toService - then.toService),
        fromService: per(now.fromService - then.fromService),
      }
    })
    this.#before = { atMs, bytes }
  }

  async #ask(): Promise<void> {
    if (this.#described === undefined) return
    const { running, consumer } = this.#described
    const endpoints = running.accesses.map(({ made }) => made.endpoint).slice(0, MAX_ASKED)
    for (const endpoint of this.#far.keys()) {
      if (!endpoints.includes(endpoint)) this.#far.delete(endpoint)
    }
    await Promise.all(
      endpoints.map(async (endpoint) => this.#far.set(endpoint, await farSide(consumer, endpoint))),
    )
  }
}
