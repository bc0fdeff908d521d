import { expect, test } from 'vitest'
import { freePorts } from '@proj/testkit/free-ports'
import { until } from '@proj/testkit/until'

import { lastingPorts, startAgent, startServer } from './programs.ts'
import { httpService, visit } from './services.ts'

const hello = (port = 0) =>
  httpService((request, response) => response.end(`you asked for ${request.url}`), port)

test('a request goes from visitor to server to agent to service and back', async () => {
  const service = await hello()
  const server = await startServer()
  await startAgent('http', 'web', service.port, server)
  const { status, body } = await visit(server.ports.proxy, '/a?b=c')
  expect({ status, body: body.toString() }).toEqual({ status: 200, body: 'you asked for /a?b=c' })
})

test('service resumes after the server was killed and started on the same ports', async () => {
  const service = await hello()
  const server = await startServer(await lastingPorts())
  const agent = await startAgent('http', 'web', service.port, server)
  expect((await visit(server.ports.proxy)).status).toBe(200)
  server.process.kill('SIGKILL')
  await server.process.exited
  await agent.line(/reconnecting/)
  const waits = ['--upstream.start-wait', '1m', '--upstream.absent-wait', '1m']
  await startServer(server.ports, waits)
  // The server does not know the name any more, and the visitor waits for it.
  expect((await visit(server.ports.proxy)).status).toBe(200)
})

test('service resumes after the agent was killed and started again', async () => {
  const service = await hello()
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  agent.kill('SIGKILL')
  await agent.exited
  const { status, headers } = await until(async () => {
    const answer = await visit(server.ports.proxy)
    return answer.status === 503 && answer
  })
  expect({ status, error: headers['adit-error'] }).toEqual({ status: 503, error: 'no_upstream' })
  await startAgent('http', 'web', service.port, server)
  expect((await visit(server.ports.proxy)).status).toBe(200)
})

test('a killed service is a 502 at once with its reason, and service resumes when it is back', async () => {
  const service = await hello((await freePorts(1)).first)
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  expect((await visit(server.ports.proxy)).status).toBe(200)
  await service.kill()
  const { status, headers, body } = await visit(server.ports.proxy)
  expect(status).toBe(502)
  expect(headers['adit-error']).toBe('service_refused')
  expect(JSON.parse(body.toString())).toEqual({ error: 'upstream unreachable' })
  await agent.line(/service not reached/)
  await httpService((_request, response) => response.end('back'), service.port)
  expect((await visit(server.ports.proxy)).body.toString()).toBe('back')
})
