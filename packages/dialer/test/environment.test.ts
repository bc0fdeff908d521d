// Node itself can use a proxy from the environment; this package uses only the given one.
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { listening } from '@proj/testkit/listening'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'

import { builtPackage } from './built-package.ts'

it('ignores NODE_USE_ENV_PROXY with a dead proxy', async () => {
  const server = createServer()
  const wss = new WebSocketServer({ server })
  wss.on('connection', () => {})
  const peer = await listening(server, '127.0.0.1')
  onTestFinished(() => peer.close())
  const built = builtPackage()
  onTestFinished(() => built.remove())
  const dead = 'http://127.0.0.1:1'
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy']
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      join(import.meta.dirname, 'fixtures', 'dial-websocket.mjs'),
      built.entry,
      `ws://127.0.0.1:${peer.port}/`,
    ],
    {
      env: { NODE_USE_ENV_PROXY: '1', ...Object.fromEntries(names.map((name) => [name, dead])) },
    },
  )
  expect(stdout).toBe('dialled\n')
})
