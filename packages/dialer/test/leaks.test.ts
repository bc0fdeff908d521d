import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { scriptedPeer } from '@proj/testkit/scripted-peer'
import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'

import {
  dial,
  dialRawWebSocket,
  dialWebSocket,
  isDialError,
  type DialOptions,
} from '../src/index.ts'
import { connectProxy } from './connect-proxy.ts'

/** Counts timers and sockets of this process, including those of the peers. */
function resources(): number {
  const held = process.getActiveResourcesInfo()
  return held.filter((name) => /^(?:Timeout|TCPSocketWrap|TLSWrap)$/.test(name)).length
}

/** Runs a dial with a new signal, and waits until its timers and sockets are gone. */
async function listenersLeft(run: (options: DialOptions) => Promise<unknown>): Promise<number> {
  const before = resources()
  const { signal } = new AbortController()
  await run({ signal }).catch(() => undefined)
  // Resources of an earlier dial can end during this time too.
  await until(() => resources() <= before, { what: 'timers and sockets are back to the start' })
  return getEventListeners(signal, 'abort').length
}

describe('a dial', () => {
  it('leaves no listener, timer or socket when it succeeds', async () => {
    const server = createServer()
    const wss = new WebSocketServer({ server })
    wss.on('connection', () => {})
    const peer = await listening(server)
    onTestFinished(() => peer.close())
    const proxy = await connectProxy({})
    const url = `ws://127.0.0.1:${peer.port}`
    for (const route of [{}, { proxy: `http://${proxy.authority}` }]) {
      expect(
        await listenersLeft(async (options) => {
          const socket = await dial(
            { host: '127.0.0.1', port: peer.port },
            { ...options, ...route },
          )
          socket.destroy()
        }),
      ).toBe(0)
      expect(
        await listenersLeft(async (options) => {
          const { socket } = await dialRawWebSocket(url, { ...options, ...route })
          expect(socket.listenerCount('data') + socket.listenerCount('error')).toBe(0)
          socket.destroy()
        }),
      ).toBe(0)
      expect(
        await listenersLeft(async (options) => {
          const websocket = await dialWebSocket(url, { ...options, ...route })
          websocket.terminate()
          await once(websocket, 'close')
        }),
      ).toBe(0)
    }
  })

  it('leaves nothing when it is cancelled between any two steps', async () => {
    const { cert, key } = certificateAuthority().issue({ name: 'x' })
    const server = createTlsServer({ cert, key }, (socket) => socket.resume().on('error', () => {}))
    const peer = await listening(server)
    onTestFinished(() => peer.close())
    const proxy = await connectProxy({})
    const reason = new Error('enough')
    let steps = 0
    for (let stop = 1; stop <= steps + 1; stop += 1) {
      const controller = new AbortController()
      steps = 0
      const dialed = dialRawWebSocket(`wss://localhost:${peer.port}`, {
        proxy: `http://localhost:${proxy.port}`,
        signal: controller.signal,
        tls: { verify: 'none' },
        timeouts: { upgradeMs: 50 },
        onEvent: ({ state }) => {
          if (state !== 'succeeded') return
          steps += 1
          if (steps === stop) controller.abort(reason)
        },
      })
      const error = await dialed.catch((rejection: unknown) => rejection)
      // After the last successful step there is no response to the upgrade.
      expect(isDialError(error, 'DIAL_UPGRADE_TIMEOUT') ? 5 : stop).toBe(stop)
      expect(isDialError(error) ? reason : error).toBe(reason)
      await until(() => peer.sockets.size === 0 && proxy.sockets.size === 0)
    }
    expect(steps).toBe(4)
  })

  it('leaves no listener, timer or socket when any step fails', async () => {
    const silent = await scriptedPeer(() => {})
    const rude = await scriptedPeer(async ({ read, send }) => {
      await read(1)
      send('what?\r\n\r\n')
    })
    const target = { host: '127.0.0.1', port: silent.port }
    const limits = { timeouts: { totalMs: 50 } }
    for (const options of [
      { tls: true },
      { proxy: `http://${silent.authority}` },
      { proxy: `https://${silent.authority}` },
      { proxy: `socks5://${silent.authority}` },
      { proxy: `http://${rude.authority}` },
      { proxy: `socks5://${rude.authority}` },
      { proxy: 'http://127.0.0.1:1' },
      { localAddress: '203.0.113.1' },
    ]) {
      expect(
        await listenersLeft((signal) => dial(target, { ...signal, ...limits, ...options })),
      ).toBe(0)
    }
    for (const authority of [silent.authority, rude.authority]) {
      expect(
        await listenersLeft((signal) =>
          dialRawWebSocket(`ws://${authority}`, { ...signal, ...limits }),
        ),
      ).toBe(0)
    }
  })
})
