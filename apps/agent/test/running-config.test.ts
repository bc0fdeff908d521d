// What becomes of listeners that the server refuses; the e2e test of the server has the programs.
import { createServer } from 'node:http'
import { loadSettings } from '@proj/config'
import { InheritedSockets } from '@proj/portcheck'
import { listening } from '@proj/testkit/listening'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { Agent, Consumer } from '@proj/tunnel'
import { expect, onTestFinished, test } from 'vitest'

import { HandedUnixSockets } from '../src/access/handed-unix-sockets.ts'
import { RunningConfig } from '../src/running-config.ts'
import { settings } from '../src/settings.ts'

const TOKEN_HINT = /use a name that the token allows/

/** A server whose token permits none of the endpoints; it remembers which were asked for. */
async function denying() {
  const asked: string[] = []
  const body = JSON.stringify({ error: 'endpoint not permitted' })
  const server = createServer()
  server.on('upgrade', ({ url = '' }, socket) => {
    asked.push(url.slice(url.lastIndexOf('/') + 1))
    socket.end(
      `HTTP/1.1 401 No\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    )
  })
  const at = await listening(server)
  onTestFinished(async () => await at[Symbol.asyncDispose]())
  return { url: `http://${at.authority}`, asked }
}

/** Runs this file against a server that denies every endpoint. */
async function running(file: string, refusedAgainMs = 60_000) {
  const server = await denying()
  using folder = temporaryDirectory()
  const text = `connect: { token: t }\n${file}`
  const loaded = await loadSettings(settings, {
    cwd: folder.path,
    env: {},
    files: [folder.write('adit.yaml', text)],
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const logger = new RecordingLogger()
  const agent = new Agent({ url: server.url })
  const consumer = new Consumer({ url: server.url })
  const config = new RunningConfig({
    agent,
    consumer,
    logger,
    connect: loaded.settings.connect,
    refusedAgainMs,
    lastProblem: () => undefined,
    isEnding: () => false,
    inherited: new InheritedSockets(),
    handedUnix: new HandedUnixSockets(),
    capture: undefined,
    tracer: undefined,
  })
  onTestFinished(async () => {
    config.destroy()
    await agent[Symbol.asyncDispose]()
    await consumer[Symbol.asyncDispose]()
  })
  const { signal } = new AbortController()
  await config.apply(loaded.settings, signal)
  return { config, logger, asked: server.asked, answered: config.answered(signal) }
}

test('a listener that was refused for good is asked for again, as long as something else is served', async () => {
  const { config, logger, asked, answered } = await running(
    'listeners: [{ endpoint: web, addr: 1 }]\naccesses: [{ endpoint: pg, bind_addr: 127.0.0.1:0 }]\n',
    20,
  )
  await answered
  const [first] = config.listeners
  expect(first?.made.refusal).toMatchObject({
    code: 'TUNNEL_UNAUTHORIZED',
    hint: expect.stringMatching(TOKEN_HINT) as unknown,
  })
  expect(logger.records).toContainEqual({
    level: 'error',
    message: 'listener refused: it is not served',
    fields: expect.objectContaining({
      endpoint: 'web',
      code: 'TUNNEL_UNAUTHORIZED',
      hint: expect.stringMatching(TOKEN_HINT) as unknown,
      againMs: 20,
    }) as unknown,
  })
  await until(() => asked.length >= 3)
  expect(new Set(asked)).toEqual(new Set(['web']))
  expect(config.listeners).toHaveLength(1)
  expect(config.listeners[0]?.made).not.toBe(first?.made)
  // The state does not flicker while the server is asked.
  expect(config.listeners[0]?.made.refusal).toBeDefined()

  const { made } = config.listeners[0] ?? {}
  expect(await config.remove('web')).toBe(true)
  expect(config.listeners).toEqual([])
  expect(made?.listener.online).toBe(false)
})

test('it fails with the first reason once no listener is left and there is no access', async () => {
  const { config, answered, asked } = await running(
    'listeners: [{ endpoint: web, addr: 1 }, { endpoint: api, addr: 1 }]\n',
  )
  await expect(answered).rejects.toMatchObject({ code: 'TUNNEL_UNAUTHORIZED' })
  await expect(config.failed).rejects.toMatchObject({ code: 'TUNNEL_UNAUTHORIZED' })
  expect(asked).toEqual(['web', 'api'])
})
