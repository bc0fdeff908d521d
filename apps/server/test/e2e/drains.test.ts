import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { connectRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'

import { startAccess, startAgent, startServer } from './programs.ts'
import { download, httpService, type Service, tcpService, visit } from './services.ts'

/** A service whose answer to `/slow` goes on for as long as the test wants. */
async function slowService(): Promise<Service & { finish: () => void }> {
  const answers: ServerResponse[] = []
  const service = await httpService((request, response) => {
    if (request.url !== '/slow') {
      response.end()
      return
    }
    answers.push(response)
    response.write('begun, ')
  })
  return { ...service, finish: () => answers.forEach((answer) => answer.end('finished')) }
}

test('a download that runs when the server is stopped finishes, and the server ends with 0', async () => {
  const service = await slowService()
  const server = await startServer()
  await startAgent('http', 'web', service.port, server)
  const response = await download(server.ports.proxy, '/slow')
  response.setEncoding('utf8')
  expect((await once(response, 'data'))[0]).toBe('begun, ')
  server.process.kill('SIGTERM')
  await server.process.line(/stopping/)
  const admin = `http://127.0.0.1:${server.ports.admin}/ready`
  expect((await fetch(admin)).status).toBe(503)
  await expect(visit(server.ports.proxy)).rejects.toThrow(/ECONNREFUSED/)
  service.finish()
  expect((await response.toArray()).join('')).toBe('finished')
  expect(response.complete).toBe(true)
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
})

test('a download that runs when the agent is stopped finishes, and the agent ends with 0', async () => {
  const service = await slowService()
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  const response = await download(server.ports.proxy, '/slow')
  response.setEncoding('utf8')
  expect((await once(response, 'data'))[0]).toBe('begun, ')
  agent.kill('SIGTERM')
  await agent.line(/stopping/)
  const { headers } = await until(async () => {
    const answer = await visit(server.ports.proxy)
    return answer.status === 502 && answer
  })
  expect(headers['adit-error']).toBe('no_upstream')
  service.finish()
  expect((await response.toArray()).join('')).toBe('finished')
  expect(response.complete).toBe(true)
  expect(await agent.exited).toEqual({ code: 0, signal: null })
})

test('a connection that runs when the consumer is stopped finishes, and it ends with 0', async () => {
  const service = await tcpService((socket) => socket.pipe(socket))
  const server = await startServer()
  await startAgent('tcp', 'pg', service.port, server)
  const access = await startAccess('pg', server)
  using connection = await connectRaw(access.port)
  await connection.send('one')
  expect((await connection.read(3)).toString()).toBe('one')
  access.process.kill('SIGTERM')
  await access.process.line(/stopping/)
  await connection.send('two')
  expect((await connection.read(3)).toString()).toBe('two')
  connection.end()
  expect(await connection.ended).toBe('fin')
  expect(await access.process.exited).toEqual({ code: 0, signal: null })
})

test.for(['server', 'agent'] as const)('a second signal ends the %s at once', async (who) => {
  const service = await slowService()
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  const response = await download(server.ports.proxy, '/slow')
  const broken = once(response, 'error')
  response.resume()
  const stopped = who === 'server' ? server.process : agent
  stopped.kill('SIGTERM')
  await stopped.line(/stopping/)
  stopped.kill('SIGTERM')
  expect((await stopped.exited).signal).toBe(null)
  await broken
  expect(response.complete).toBe(false)
})

test('the grace period ends what does not end by itself', async () => {
  const service = await slowService()
  const server = await startServer(undefined, ['--grace-period', '50ms'])
  await startAgent('http', 'web', service.port, server)
  const response = await download(server.ports.proxy, '/slow')
  const broken = once(response, 'error')
  response.resume()
  server.process.kill('SIGTERM')
  expect(await server.process.exited).toEqual({ code: 0, signal: null })
  await broken
})
