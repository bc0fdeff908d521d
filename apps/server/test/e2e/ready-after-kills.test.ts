// What /ready and status say after a kill -9, until the agents are back.
import { join } from 'node:path'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { aditServer, type RunningServer, startAgent, startServer } from './programs.ts'
import { httpService } from './services.ts'

const ALL = ['--ready.endpoints', '100%', '--ready.timeout', '1h']

async function readiness({ ports }: RunningServer): Promise<unknown> {
  return await (await fetch(`http://127.0.0.1:${ports.admin}/ready`)).json()
}

/** Endpoints that are written for the next process. */
function servedIn(directory: string): unknown[] {
  const database = Database.open(join(directory, 'adit.db'), { migrations: MIGRATIONS })
  try {
    return database.all('SELECT endpoint FROM served').map(({ endpoint }) => endpoint)
  } finally {
    database.close()
  }
}

test('after a kill -9 the server is ready when its endpoints are back, and status says how many', async () => {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  const service = await httpService((_, response) => response.end('hello'))
  const args = ['--data-dir', directory.path, ...ALL]
  const first = await startServer(undefined, args)
  const agents = [
    await startAgent('http', 'one', service.port, first),
    await startAgent('http', 'two', service.port, first),
  ]
  expect(await readiness(first)).toEqual({ ready: true, state: 'ready' })
  await until(() => servedIn(directory.path).length === 2)
  first.process.kill('SIGKILL')
  await first.process.exited
  for (const agent of agents) agent.kill('SIGKILL')
  const second = await startServer(undefined, args)
  const endpoints = { before: 2, back: 0, needed: 2 }
  expect(await readiness(second)).toEqual({ ready: false, state: 'waiting', endpoints })
  await startAgent('http', 'one', service.port, second)
  const status = aditServer(['status', '--url', `http://127.0.0.1:${second.ports.admin}`])
  expect((await status.exited).code).toBe(0)
  expect(status.stdout).toMatch(
    /not ready: waiting\n.*1 of the 2 from before the start are back, 2/,
  )
  await startAgent('http', 'two', service.port, second)
  const back = { ...endpoints, back: 2 }
  expect(await readiness(second)).toEqual({ ready: true, state: 'ready', endpoints: back })
})
