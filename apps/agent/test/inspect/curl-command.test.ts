// Commands are run by a real shell with a real curl, against a server that says what it got.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'

import { expect, onTestFinished, test } from 'vitest'

import { curlCommand } from '../../src/inspect/curl-command.ts'

const run = promisify(execFile)

interface Got {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

async function echo(): Promise<{ base: string; got: Got[] }> {
  const got: Got[] = []
  const server = createServer((request, response) => {
    const body: Buffer[] = []
    request.on('data', (chunk: Buffer) => body.push(chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      got.push({ method, url, headers, body: Buffer.concat(body) })
      response.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, got }
}

const hasCurl = await run('curl', ['--version']).then(
  () => true,
  () => false,
)

/** Each byte; texts that mean something to a shell, to printf or to curl; ends that get lost. */
const BODIES: readonly (readonly [string, Buffer])[] = [
  ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
  ['shell', Buffer.from(`'"\`$(id)\${x}!\\n; rm -rf ~ &\n\n\n`)],
  ['a file of curl', Buffer.from('@/etc/hostname')],
  ['a format', Buffer.from('-n %s %d %% \\033 \\x41')],
  ['one quote', Buffer.from("'")],
]

test.for(BODIES)('a body arrives byte for byte: %s', async ([, body], { skip }) => {
  if (!hasCurl) skip(true, 'no curl')
  const { base, got } = await echo()
  const command = curlCommand({
    method: 'PUT',
    url: `${base}/a/../b?x=[1-3]&y={a,b}&z='$(id)'`,
    headers: [
      'Host',
      'other.example',
      'X-Quote',
      `it's "$HOME" \`id\` \\`,
      'X-Empty',
      '',
      '@x',
      'y',
      'X-Latin',
      '\u00e9',
      'Content-Length',
      '1',
      'Bad Name',
      'x',
    ],
    body,
    bodyBytes: body.length,
  })
  await run('sh', ['-c', Buffer.from(command, 'latin1').toString('latin1')], {
    env: { PATH: process.env['PATH'], HOME: '/nowhere' },
  })
  expect(got).toHaveLength(1)
  const [request] = got
  expect(request?.method).toBe('PUT')
  expect(request?.url).toBe("/a/../b?x=[1-3]&y={a,b}&z='$(id)'")
  expect(request?.headers['x-quote']).toBe(`it's "$HOME" \`id\` \\`)
  expect(request?.headers['x-empty']).toBe('')
  expect(request?.headers['expect']).toBeUndefined()
  expect(Buffer.compare(request?.body ?? Buffer.alloc(0), body)).toBe(0)
})

test('what curl does by itself is not said, and a cut body is', () => {
  const base = { url: 'http://h/', headers: [], body: Buffer.alloc(0), bodyBytes: 0 }
  expect(curlCommand({ ...base, method: 'GET' })).toBe("curl -g --path-as-is -- 'http://h/'")
  expect(curlCommand({ ...base, method: 'HEAD' })).toContain(' -I ')
  expect(curlCommand({ ...base, method: 'DELETE' })).toContain(" -X 'DELETE' ")
  const cut = curlCommand({ ...base, method: 'POST', body: Buffer.from('a'), bodyBytes: 9 })
  expect(cut.split('\n')).toEqual([
    '# the body is incomplete: 1 of 9 bytes',
    "printf -- 'a' | curl -g --path-as-is -H 'Expect:' --data-binary @- -- 'http://h/'",
  ])
})
