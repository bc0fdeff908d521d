// A clock that is set while the server runs: what Debian's libfaketime does to the wall clock alone.
import { createHmac } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { adit, startServer } from './programs.ts'
import { httpService } from './services.ts'

/** Where Debian's package `faketime` has it. */
const LIBRARY = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((file) => existsSync(file))

const KEY = 'a secret of at least thirty-two bytes'

/** A JWT that is good for some seconds. */
function jwt(seconds: number): string {
  const exp = Math.floor(Date.now() / 1000) + seconds
  const parts = [{ alg: 'HS256' }, { exp }].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const signature = createHmac('sha256', KEY).update(parts.join('.')).digest('base64url')
  return [...parts, signature].join('.')
}

test('a token of an hour ends within seconds when the clock is set forward by two', async ({
  skip,
}) => {
  skip(LIBRARY === undefined, 'no faketime')
  using directory = temporaryDirectory()
  const offset = join(directory.path, 'offset')
  writeFileSync(offset, '+0')
  const env = {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1', // timers go on as they do while a clock is set
  }
  const key = ['--upstream.auth.hmac-secret-key-file', directory.write('key', KEY)]
  const server = await startServer(undefined, key, { env })
  const service = await httpService((_request, response) => response.end())
  const url = `http://127.0.0.1:${server.ports.upstream}`
  // One connection: a second one might come with the new time, and be refused for that.
  const own = ['--connect.url', url, '--connect.connections', '1', '--json']
  const agent = adit(['http', 'web', String(service.port), ...own], {
    env: { ADIT_CONNECT_TOKEN: jwt(3600) },
  })
  await agent.event('ready')
  writeFileSync(offset, '+2h')
  expect(await agent.exited).toMatchObject({ code: 4 })
  expect(agent.stderr).toContain('expired token')
})
