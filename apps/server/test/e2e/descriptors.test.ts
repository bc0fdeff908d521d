// One source opens more connections than the server has descriptors for: agents, operators and other
// requests are still served.
import { spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'

import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { adit, startAgent, startServer } from './programs.ts'

const VISITORS = 512

const FEW = { prefix: ['sh', '-c', 'ulimit -n 256; exec "$0" "$@"'] }

/** Opens connections that say nothing; they end with the test. */
async function openIdle(port: number): Promise<void> {
  const sockets: Socket[] = []
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()))
  for (let at = 0; at < VISITORS; at++) {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    // A rejected one may be reset before its `connect` is seen.
    await new Promise<void>((resolve) => {
      socket.once('connect', () => resolve())
      socket.on('error', () => resolve())
    })
  }
}

test('512 visitors of one address at a server with 256 descriptors', async () => {
  const service = await listening(createServer((_, response) => response.end('here')))
  onTestFinished(async () => await service.close())
  const server = await startServer(undefined, [], FEW)
  await startAgent('http', 'web', service.port, server)
  await openIdle(server.ports.proxy)
  const text = 'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n'
  expect((await exchangeRaw(server.ports.proxy, text)).body.toString()).toBe('here')
  await startAgent('http', 'second', service.port, server)
  const page = await fetch(`http://127.0.0.1:${server.ports.admin}/metrics`)
  const metrics = await page.text()
  const connections = Number(/^adit_edge_connections (\d+)/m.exec(metrics)?.[1])
  expect(connections).toBeGreaterThan(70)
  expect(connections).toBeLessThanOrEqual(80) // half of 256 less the reserve of 96
})

test('512 silent connections of one address to the upstream port of a server with 256 descriptors', async () => {
  const service = await listening(createServer((_, response) => response.end('here')))
  onTestFinished(async () => await service.close())
  const server = await startServer(undefined, [], FEW)
  await openIdle(server.ports.upstream)
  await startAgent('http', 'web', service.port, server)
  const text = 'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n'
  expect((await exchangeRaw(server.ports.proxy, text)).body.toString()).toBe('here')
  const page = await fetch(`http://127.0.0.1:${server.ports.admin}/metrics`)
  const rejected = /^adit_connections_rejected_total\{port="upstream",limit="source"\} (\d+)/m
  expect(Number(rejected.exec(await page.text())?.[1])).toBeGreaterThan(400)
})

test('both programs start with 96 descriptors', async () => {
  const few = { prefix: ['sh', '-c', 'ulimit -n 96; exec "$0" "$@"'] }
  const service = await listening(createServer((_, response) => response.end('here')))
  onTestFinished(async () => await service.close())
  const server = await startServer(undefined, [], few)
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const agent = adit(['http', 'web', String(service.port), '--connect.url', url, '--json'], few)
  await agent.event('ready')
  const text = 'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n'
  expect((await exchangeRaw(server.ports.proxy, text)).body.toString()).toBe('here')
})

test.skipIf(spawnSync('prlimit', ['--version']).error !== undefined)(
  'a server without a free descriptor logs it, counts the seconds, and says when it is over',
  async () => {
    const server = await startServer()
    const limit = (soft: number): void => {
      const { status } = spawnSync('prlimit', [`--pid=${server.process.pid}`, `--nofile=${soft}:`])
      expect(status).toBe(0)
    }
    limit(5)
    await until(() => server.process.stderr.includes('no file descriptor is free'))
    limit(256)
    await until(() => server.process.stderr.includes('file descriptors are free again'))
    const admin = `http://127.0.0.1:${server.ports.admin}`
    const metrics = await (await fetch(`${admin}/metrics`)).text()
    const seconds = Number(/^adit_descriptors_exhausted_seconds_total (\d+)/m.exec(metrics)?.[1])
    expect(seconds).toBeGreaterThanOrEqual(1)
    const edge = (await (await fetch(`${admin}/status/edge`)).json()) as Record<string, unknown>
    expect(edge['secondsWithoutDescriptors']).toBe(seconds)
  },
)
