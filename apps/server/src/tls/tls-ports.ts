import { FileWatch } from '@proj/config'
import { EXIT, UserError } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import { describeCertificate } from './certificates.ts'
import { TlsFront } from './tls-front.ts'
import { readTlsMaterial, type TlsMaterial } from './tls-material.ts'
import { TLS_PORTS, type TlsPortSettings, type TlsSettings } from './tls-settings.ts'

/** The log warns of certificates that expire within this time, ms. */
const EXPIRES_SOON_MS = 14 * 86_400_000

/** How often expiry is checked, ms. */
const EXPIRY_INTERVAL_MS = 86_400_000

interface Port {
  readonly name: keyof TlsPortSettings
  readonly front: TlsFront
  settings: TlsSettings
}

/** Keys of the tickets that clients resume with, by port. */
export type TicketKeys = Readonly<Partial<Record<keyof TlsPortSettings, Buffer>>>

/** Applies settings whose files are read already; cannot fail. */
export type PreparedTls = () => void

/** Ports that have a certificate. */
export function portsWithTls(settings: TlsPortSettings): (keyof TlsPortSettings)[] {
  return TLS_PORTS.filter((name) => settings[name].tls.cert.length > 0)
}

/** TLS on the ports of the server: reads the files, and reads them again when they change. */
export class TlsPorts implements AsyncDisposable {
  readonly #logger: Logger
  readonly #ports: readonly Port[]
  readonly #watch: FileWatch
  readonly #timer: NodeJS.Timeout
  #running: Promise<unknown> = Promise.resolve()

  private constructor(ports: readonly Port[], watch: FileWatch, logger: Logger) {
    this.#ports = ports
    this.#watch = watch
    this.#logger = logger
    for (const { name, front } of ports) this.#warnOfExpiry(name, front.material)
    this.#timer = setInterval(() => {
      for (const { name, front } of ports) this.#warnOfExpiry(name, front.material)
    }, EXPIRY_INTERVAL_MS)
    this.#timer.unref()
  }

  /**
   * Reads the files of every port and begins to watch them.
   *
   * @param options.mostHandshakes - at once on each port, whatever the settings say. Default: no limit.
   * @param options.ticketKeys - of the process that this one replaces, by port. Default: random ones.
   * @throws {UserError} for the first fault.
   */
  static async open(
    settings: TlsPortSettings,
    logger: Logger,
    options: {
      readonly mostHandshakes?: number
      readonly ticketKeys?: TicketKeys | undefined
    } = {},
  ): Promise<TlsPorts> {
    const { mostHandshakes = Infinity, ticketKeys = {} } = options
    const wanted = portsWithTls(settings)
    let onChange = (): void => {}
    const watch = new FileWatch({
      files: filesOf(TLS_PORTS.map((name) => settings[name].tls)),
      onChange: () => onChange(),
    })
    // Before they are read, so that no change is missed.
    if (wanted.length > 0) {
      await watch.start().catch((error: unknown) => {
        logger.warn({ err: error }, 'TLS files are not watched; SIGHUP reads them again')
      })
    }
    const ports: Port[] = []
    try {
      for (const name of wanted) {
        const { tls } = settings[name]
        const { handshakeTimeoutMs } = tls
        const maxHandshakes = Math.min(tls.maxHandshakes, mostHandshakes)
        const material = await readOrThrow(name, tls)
        const limits = { handshakeTimeoutMs, maxHandshakes }
        const front = new TlsFront({
          listener: name,
          material,
          ...limits,
          ticketKeys: ticketKeys[name],
          logger,
        })
        ports.push({ name, front, settings: tls })
      }
    } catch (error) {
      watch.close()
      throw error
    }
    const opened = new TlsPorts(ports, watch, logger)
    onChange = () => void opened.readAgain()
    return opened
  }

  /** Fronts by port; a port without one is plain. */
  get fronts(): Readonly<Partial<Record<keyof TlsPortSettings, TlsFront>>> {
    return Object.fromEntries(this.#ports.map(({ name, front }) => [name, front]))
  }

  /** Keys of the tickets of every port, for a process that takes over. They are secrets. */
  get ticketKeys(): TicketKeys {
    return Object.fromEntries(this.#ports.map(({ name, front }) => [name, front.ticketKeys]))
  }

  /** Reads every file again; faults are logged, and the port keeps its certificates. Never rejects. */
  readAgain(): Promise<void> {
    return this.#inTurn(async () => {
      for (const port of this.#ports) {
        const material = await readTlsMaterial(port.settings)
        if (!Array.isArray(material)) this.#take(port, port.settings, material)
        else {
          for (const { code, message, hint } of material) {
            this.#logger.error(
              { listener: port.name, code, why: message, hint },
              'new certificate refused, the old one stays in use',
            )
          }
        }
      }
    }).catch((error: unknown) => {
      this.#logger.error({ err: error }, 'certificates could not be read again')
    })
  }

  /**
   * Reads the files of new settings. Whether a port uses TLS, and whether it asks for client certificates,
   * stays as it was at the start.
   *
   * @returns applies the new settings.
   * @throws {UserError} for the first fault; nothing changes then.
   */
  async prepare(settings: TlsPortSettings): Promise<PreparedTls> {
    const steps: (() => void)[] = []
    for (const name of TLS_PORTS) {
      const { tls } = settings[name]
      const port = this.#ports.find((one) => one.name === name)
      const wants = tls.cert.length > 0
      const had = port?.settings
      if (wants !== (had !== undefined) || (tls.clientCas === undefined) !== !had?.clientCas) {
        if (!wants && had === undefined) continue
        steps.push(() => {
          this.#logger.warn(
            { listener: name },
            'TLS or client certificates switched on or off: it needs a restart to take effect',
          )
        })
      } else if (port !== undefined) {
        const material = await readOrThrow(name, tls)
        steps.push(() => this.#take(port, tls, material))
      }
    }
    return () => {
      for (const step of steps) step()
      void this.#watch.follow(filesOf(this.#ports.map(({ settings: own }) => own))).catch(() => {})
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#watch.close()
    await this.#running
  }

  #take(port: Port, settings: TlsSettings, material: TlsMaterial): void {
    const { front, name } = port
    port.settings = settings
    if (material.fingerprint === front.material.fingerprint) return
    front.replace(material)
    const shown = material.certificates.map(describeCertificate)
    this.#logger.info({ listener: name, certificates: shown }, 'new certificate in use')
    this.#warnOfExpiry(name, material)
  }

  #warnOfExpiry(listener: keyof TlsPortSettings, { certificates }: TlsMaterial): void {
    for (const certificate of certificates) {
      if (Date.parse(certificate.validTo) - Date.now() > EXPIRES_SOON_MS) continue
      this.#logger.warn(
        {
          listener,
          ...describeCertificate(certificate),
          hint: 'renew it; the new file is used at once',
        },
        'the certificate expires soon',
      )
    }
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#running.then(work)
    this.#running = turn.catch(() => {})
    await turn
  }
}

async function readOrThrow(
  name: keyof TlsPortSettings,
  settings: TlsSettings,
): Promise<TlsMaterial> {
  const material = await readTlsMaterial(settings)
  if (!Array.isArray(material)) return material
  const [fault] = material
  throw new UserError(`${name}.tls: ${fault?.message ?? 'no certificate'}`, {
    exitCode: EXIT.usage,
    hint: fault?.hint,
    cause: fault,
  })
}

function filesOf(settings: readonly TlsSettings[]): string[] {
  const files = settings.flatMap(({ cert, key, clientCas, clientCrl }) => [
    ...cert,
    ...key,
    clientCas ?? '',
    clientCrl ?? '',
  ])
  return [...new Set(files.filter((file) => file !== ''))]
}
