// A listener of the agent without a server: the test opens its streams, as a server would.
import { PasswordChecks, policyOf, SourceLimiter, VISITOR_FAILURES } from '@proj/auth'
import { type Problem, loadSettings } from '@proj/config'
import { Session } from '@proj/mux'
import { memoryPair } from '@proj/testkit/duplex-pairs'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import type { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { Agent, type StreamRecord } from '@proj/tunnel'
import { onTestFinished } from 'vitest'

import type { Capture } from '../../src/inspect/capture.ts'
import { ServiceListener } from '../../src/listeners/service-listener.ts'
import { serviceParts } from '../../src/listeners/service-parts.ts'
import { type AgentSettings, settings } from '../../src/settings.ts'
import type { AgentTracer } from '../../src/tracing/agent-tracer.ts'

/** A stream of a listener, as its server has it. */
export interface ServedStream {
  readonly write: (text: string) => void
  readonly end: () => void
  /** What came so far, one character per byte. */
  readonly text: () => string
  /** Why it was reset; undefined while it was not. */
  readonly reason: () => number | undefined
  readonly hasEnded: () => boolean
}

/** A listener that runs. */
export interface Served {
  readonly made: ServiceListener
  readonly logger: RecordingLogger
  readonly open: (record?: Partial<StreamRecord>) => ServedStream
  /** Sends a request on a stream of its own, and resolves with all that came when that contains the text. */
  readonly ask: (request: string, awaited: string) => Promise<string>
}

/** Reads the listener `web` from a file of the folder. */
export async function listenerOf(
  folder: ReturnType<typeof temporaryDirectory>,
  listener: string,
): Promise<{
  readonly setting: AgentSettings['listeners'][number] | undefined
  readonly problems: readonly Problem[]
}> {
  const path = folder.write('adit.yaml', `listeners: [{ endpoint: web, ${listener} }]`)
  const loaded = await loadSettings(settings, { cwd: folder.path, env: {}, files: [path] })
  return {
    setting: loaded.ok ? loaded.settings.listeners[0] : undefined,
    problems: loaded.problems,
  }
}

/** Runs the listener `web` of these settings. */
export async function served(
  folder: ReturnType<typeof temporaryDirectory>,
  listener: string,
  capture?: Capture,
  tracer?: AgentTracer,
): Promise<Served> {
  const { setting, problems } = await listenerOf(folder, listener)
  if (setting === undefined) throw new Error(JSON.stringify(problems))
  const logger = new RecordingLogger()
  const agent = new Agent({ url: 'http://127.0.0.1:1' })
  const made = new ServiceListener(
    agent,
    setting,
    await policyOf(setting.visitors),
    await serviceParts(setting),
    { checks: new PasswordChecks(), failures: new SourceLimiter(VISITOR_FAILURES) },
    logger,
    () => false,
    capture,
    tracer,
  )
  const [near, far] = await memoryPair()
  let next: StreamRecord = { kind: setting.protocol, endpoint: 'web' }
  const session = new Session(near, { role: 'client' })
  const server = new Session(far, {
    role: 'server',
    onChannel: (channel) => void made.listener.accept(channel, next),
  })
  onTestFinished(async () => {
    session.destroy()
    server.destroy()
    await made.listener.close()
    await agent[Symbol.asyncDispose]()
  })
  const open: Served['open'] = (record = {}) => {
    next = { kind: setting.protocol, endpoint: 'web', ...record }
    const received: Buffer[] = []
    let reason: number | undefined
    let hasEnded = false
    const channel = session.openChannel({
      onData: (chunk) => {
        received.push(Buffer.from(chunk))
        channel.consume(chunk.length)
        return true
      },
      onEnd: () => {
        hasEnded = true
        channel.end() // as a server does: there is no answer to come
      },
      onDrain: () => {},
      onClose: (error) => (reason = error === undefined ? reason : error.reason),
    })
    return {
      write: (text) => void channel.write(Buffer.from(text, 'latin1')),
      end: () => channel.end(),
      text: () => Buffer.concat(received).toString('latin1'),
      reason: () => reason,
      hasEnded: () => hasEnded,
    }
  }
  const ask: Served['ask'] = async (request, awaited) => {
    const stream = open()
    stream.write(request)
    await until(() => stream.text().includes(awaited), { what: `${awaited} in the answer` })
    return stream.text()
  }
  return { made, logger, open, ask }
}

/** A request head with an empty line; `Host` is that of the endpoint. */
export function request(line: string, ...headers: readonly string[]): string {
  return [`${line} HTTP/1.1`, 'Host: web.tunnel.example', ...headers, '', ''].join('\r\n')
}
