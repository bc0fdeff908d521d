import { spawnSync } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { spawned } from '@proj/testkit/spawned'

import { startAgent, startServer } from './programs.ts'
import { download, httpService } from './services.ts'

const hasCurl = spawnSync('curl', ['--version']).status === 0

// Exit codes of curl's manual.
const CURL_PARTIAL_FILE = 18
const CURL_TIMED_OUT = 28
const CURL_GOT_NOTHING = 52
const CURL_RECEIVE_ERROR = 56

type Exchange = [IncomingMessage, ServerResponse]

/** A service that leaves the answer to the test. */
async function tunnel() {
  let resolve: (exchange: Exchange) => void = () => {}
  const asked = new Promise<Exchange>((settle) => (resolve = settle))
  const service = await httpService((request, response) => resolve([request, response]))
  const server = await startServer()
  await startAgent('http', 'web', service.port, server)
  return { asked, server }
}

/** Resolves when a request of the service is over; being aborted is how, not a failure. */
async function closed(request: IncomingMessage): Promise<void> {
  request.on('error', () => {})
  await new Promise((resolve) => request.once('close', resolve))
}

function curl(port: number, ...args: readonly string[]) {
  const url = `http://127.0.0.1:${port}/`
  return spawned('curl', ['-sS', '--noproxy', '*', '-H', 'Host: web.localhost', ...args, url])
}

test('a visitor that goes away during the answer is gone for the service too', async () => {
  const { asked, server } = await tunnel()
  const answer = download(server.ports.proxy, '/')
  const [request, response] = await asked
  response.write('begun')
  const gone = closed(request)
  ;(await answer).destroy()
  await gone
  expect(response.writableFinished).toBe(false)
})

test('a visitor that goes away while it waits is gone for the service too', async ({ skip }) => {
  skip(!hasCurl, 'no curl')
  const { asked, server } = await tunnel()
  const visitor = curl(server.ports.proxy)
  const [request] = await asked
  const gone = closed(request)
  visitor.kill('SIGKILL')
  await gone
  expect((await visitor.exited).signal).toBe('SIGKILL')
})

test('a visitor that gives up waiting is gone for the service too', async ({ skip }) => {
  skip(!hasCurl, 'no curl')
  const { asked, server } = await tunnel()
  const visitor = curl(server.ports.proxy, '--max-time', '3') // its request is there before that
  const [request] = await asked
  await closed(request)
  expect((await visitor.exited).code).toBe(CURL_TIMED_OUT)
})

test('an answer with a length that the service breaks off is a partial file to curl', async ({
  skip,
}) => {
  skip(!hasCurl, 'no curl')
  const { asked, server } = await tunnel()
  const visitor = curl(server.ports.proxy, '--no-buffer')
  const [, response] = await asked
  response.writeHead(200, { 'content-length': 100 })
  response.write('half\n')
  await visitor.line(/half/)
  response.destroy()
  const { code } = await visitor.exited
  expect([CURL_PARTIAL_FILE, CURL_RECEIVE_ERROR]).toContain(code)
  expect(visitor.stdout).toBe('half\n')
})

test('a chunked answer that the service breaks off is an error to curl, never an end', async ({
  skip,
}) => {
  skip(!hasCurl, 'no curl')
  const { asked, server } = await tunnel()
  const visitor = curl(server.ports.proxy)
  const [, response] = await asked
  response.write('half')
  await new Promise((resolve) => response.write(' of it', resolve))
  response.destroy()
  const { code } = await visitor.exited
  expect([CURL_PARTIAL_FILE, CURL_RECEIVE_ERROR]).toContain(code)
})

test('an answer up to the end of the connection that the service resets is an error to curl', async ({
  skip,
}) => {
  skip(!hasCurl, 'no curl')
  const { asked, server } = await tunnel()
  const visitor = curl(server.ports.proxy, '--http1.0', '--no-buffer')
  const [, response] = await asked
  response.socket?.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf\n')
  await visitor.line(/half/)
  response.socket?.resetAndDestroy()
  expect((await visitor.exited).code).toBe(CURL_RECEIVE_ERROR)
})

test('a service that closes without an answer is a 502, not an empty reply', async ({ skip }) => {
  skip(!hasCurl, 'no curl')
  const { asked, server } = await tunnel()
  const visitor = curl(server.ports.proxy, '-w', '%{http_code}')
  const [, response] = await asked
  response.destroy()
  const { code } = await visitor.exited
  expect(code).not.toBe(CURL_GOT_NOTHING)
  expect(visitor.stdout).toMatch(/502$/)
})
