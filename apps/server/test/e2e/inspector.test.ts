// The inspector of an agent that really runs: its address, what it shows of a visitor, and a restart.
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { adit, startServer } from './programs.ts'
import { httpService, visit } from './services.ts'

interface Row {
  readonly target: string
  readonly status: number
  readonly requestId: string
  readonly tunnelMs: number
}

/** The API at the address that an agent printed; by IP address, for localhost may be another family. */
function apiOf(openUrl: string): (path: string) => Promise<unknown> {
  const { port, hash } = new URL(openUrl)
  const headers = { 'x-adit-token': hash.slice('#t='.length) }
  return async (path) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/${path}`, { headers })
    expect(answer.status).toBe(200)
    return await answer.json()
  }
}

test('the agent prints the address of its page, which shows visitors; the token stays the same', async () => {
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  const env = { XDG_RUNTIME_DIR: folder.path }
  const service = await httpService((_, response) => response.end('ok'))
  const server = await startServer()
  const start = async () => {
    const args = ['http', 'web', String(service.port), '--json', '--inspect']
    const url = ['--connect.url', `http://127.0.0.1:${server.ports.upstream}`]
    const agent = adit([...args, ...url, '--inspector.bind-addr', '127.0.0.1:0'], { env })
    const { inspect } = await agent.event('ready')
    return { agent, openUrl: String(inspect) }
  }
  const { agent, openUrl } = await start()
  expect((await visit(server.ports.proxy, '/seen?token=abc')).body.toString()).toBe('ok')
  const api = apiOf(openUrl)
  const rows = await until(async () => {
    const list = (await api('exchanges')) as { readonly rows: readonly Row[] }
    return list.rows[0]?.status === undefined ? undefined : list.rows
  })
  expect(rows).toMatchObject([{ target: '/seen?token=hidden', status: 200, endpoint: 'web' }])
  expect(rows[0]?.requestId).not.toBe('')
  const printed = adit(['inspect', '--json'], { env })
  expect((await printed.exited).code).toBe(0)
  expect(JSON.parse(printed.stdout)).toEqual({ pid: agent.pid, url: openUrl })
  const status = adit(['status', '--json'], { env })
  await status.exited
  const [base = '', token = ''] = openUrl.split('#t=')
  expect(status.stdout).toContain(base)
  expect(status.stdout).not.toContain(token)
  agent.kill('SIGTERM')
  await agent.exited
  const again = await start()
  expect(again.openUrl.split('#')[1]).toBe(openUrl.split('#')[1])
})

test('without a terminal there is no inspector unless it is asked for', async () => {
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  const env = { XDG_RUNTIME_DIR: folder.path }
  const service = await httpService((_, response) => response.end('ok'))
  const server = await startServer()
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const agent = adit(['http', 'web', String(service.port), '--connect.url', url, '--json'], { env })
  expect((await agent.event('ready'))['inspect']).toBeUndefined()
  const printed = adit(['inspect'], { env })
  expect((await printed.exited).code).toBe(1)
  expect(printed.stderr).toContain('start it with --inspect')
})
