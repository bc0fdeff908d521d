import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, afterAll, expect, test } from 'vitest'
import { listening } from '@proj/testkit/listening'
import { Spawned } from '@proj/testkit/spawned'
import { download, raw, requests, upload } from '../src/load-client.mjs'
import { cpuSeconds, peakRssBytes } from '../src/process-usage.mjs'

const BYTES = 3_000_001
let services: Spawned
let ports: Record<string, unknown>
const target = () => ({ port: Number(ports['http']), host: 'test' })

beforeAll(async () => {
  services = new Spawned(process.execPath, [join(import.meta.dirname, '../src/services.mjs')])
  ports = await services.event('ready')
})
afterAll(() => services.stop())

test('requests keep their connections and are counted', async () => {
  const task = { ...target(), path: '/1024', connections: 3, durationMs: 50 }
  const { requests: count, perSecond, p50Ms, p99Ms } = await requests(task)
  expect(count).toBeGreaterThanOrEqual(3)
  expect(perSecond).toBeGreaterThan(0)
  expect(p99Ms).toBeGreaterThanOrEqual(p50Ms)
})

test('bodies of any size go both ways, and every byte is counted', async () => {
  const large = { ...target(), bytes: BYTES }
  expect((await download({ ...large, path: `/${BYTES}` })).bytesPerSecond).toBeGreaterThan(0)
  expect((await upload({ ...large, path: '/upload' })).bytesPerSecond).toBeGreaterThan(0)
  const port = Number(ports['raw'])
  expect((await raw({ port, direction: 'D', bytes: BYTES })).bytesPerSecond).toBeGreaterThan(0)
  expect((await raw({ port, direction: 'U', bytes: BYTES })).bytesPerSecond).toBeGreaterThan(0)
})

test('a body of another length is an error', async () => {
  const task = { ...target(), path: '/1024', bytes: BYTES }
  await expect(download(task)).rejects.toThrow('1024 bytes, not 3000001')
})

test('anything but 200 ends the run', async () => {
  const refuse = 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'
  const server = createServer((socket) => void socket.on('data', () => socket.write(refuse)))
  await using at = await listening(server)
  const task = { port: at.port, host: 'x', path: '/', connections: 1, durationMs: 10 }
  await expect(requests(task)).rejects.toThrow('502')
})

test('a process has used CPU and memory', () => {
  expect(cpuSeconds(services.pid)).toBeGreaterThan(0)
  expect(peakRssBytes(services.pid)).toBeGreaterThan(10_000_000)
})
