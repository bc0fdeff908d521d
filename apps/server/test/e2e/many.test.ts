import { expect, test } from 'vitest'
import { connectRaw, type RawHttp } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'

import { descriptorsOf, startAccess, startAgent, startServer } from './programs.ts'
import { httpService, tcpService } from './services.ts'

const CONNECTIONS = 200
const ROUNDS = process.env['ADIT_FULL_TESTS'] === '1' ? 50 : 20
/** Whoever counts descriptors wants no session that comes a moment later. */
const ONE_SESSION = ['--connect.connections', '1']

async function opened(port: number, count: number): Promise<RawHttp[]> {
  return await Promise.all(Array.from({ length: count }, () => connectRaw(port)))
}

test(`${CONNECTIONS} visitors are served at the same time, each its own answer`, async () => {
  const waiting: (() => void)[] = []
  const service = await httpService((request, response) => {
    // Nobody is answered before all are here.
    waiting.push(() => response.end(`for ${request.url}`))
    if (waiting.length === CONNECTIONS) for (const answer of waiting) answer()
  })
  const server = await startServer()
  await startAgent('http', 'web', service.port, server)
  const connections = await opened(server.ports.proxy, CONNECTIONS)
  const bodies = await Promise.all(
    connections.map(async (connection, index) => {
      await connection.send(`GET /${index} HTTP/1.1\r\nhost: web.localhost\r\n\r\n`)
      return (await connection.readResponse()).body.toString()
    }),
  )
  expect(bodies).toEqual(connections.map((_, index) => `for /${index}`))
  for (const connection of connections) connection.end()
})

test(`${CONNECTIONS} connections through adit access live at the same time`, async () => {
  const service = await tcpService((socket) => socket.pipe(socket))
  const server = await startServer()
  await startAgent('tcp', 'echo', service.port, server)
  const access = await startAccess('echo', server)
  const connections = await opened(access.port, CONNECTIONS)
  await Promise.all(connections.map((connection, index) => connection.send(`number ${index}\n`)))
  const lines = await Promise.all(connections.map((connection) => connection.readTo('\n')))
  expect(lines).toEqual(connections.map((_, index) => `number ${index}\n`))
  expect(service.sockets.size).toBe(CONNECTIONS)
  for (const connection of connections) connection.end()
  await Promise.all(connections.map((connection) => connection.ended))
})

test(`${ROUNDS} rounds of HTTP connections leave no descriptor behind`, async () => {
  // Kept-alive streams to the service are meant to stay a while; this service wants none.
  const service = await httpService((_request, response) => {
    response.writeHead(200, { connection: 'close' }).end('x')
  })
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server, ONE_SESSION)
  const pids = [server.process.pid, agent.pid]
  const round = async (): Promise<void> => {
    const connections = await opened(server.ports.proxy, 4)
    const [whole, broken, silent, half] = connections
    await whole?.send('GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n')
    await whole?.readToEnd()
    await broken?.send('GET / HTTP/1.1\r\nhost: web.localhost\r\n\r\n')
    broken?.reset()
    silent?.end()
    await half?.send('POST / HTTP/1.1\r\nhost: web.localhost\r\ncontent-length: 10\r\n\r\n12345')
    half?.reset()
  }
  await round() // whatever is opened once is open then
  const base = await settled(pids)
  for (let count = 0; count < ROUNDS; count++) await round()
  expect(await comeBack(pids, base)).toBe(true)
})

test(`${ROUNDS} rounds of TCP connections leave no descriptor behind`, async () => {
  const service = await tcpService((socket) => socket.pipe(socket))
  const server = await startServer()
  const agent = await startAgent('tcp', 'echo', service.port, server, ONE_SESSION)
  const access = await startAccess('echo', server)
  const pids = [server.process.pid, agent.pid, access.process.pid]
  const round = async (): Promise<void> => {
    const [whole, reset, early] = await opened(access.port, 3)
    await whole?.send('x')
    await whole?.read(1)
    whole?.end()
    await whole?.ended
    await reset?.send('x')
    reset?.reset()
    early?.reset()
  }
  await round()
  const base = await settled(pids)
  for (let count = 0; count < ROUNDS; count++) await round()
  expect(await comeBack(pids, base)).toBe(true)
  await until(() => service.sockets.size === 0)
})

test('agents that come and are killed leave no descriptor in the server', async () => {
  const service = await httpService((_request, response) => response.end())
  const server = await startServer()
  const round = async (): Promise<void> => {
    const agents = await Promise.all(
      ['a', 'b', 'c'].map((name) => startAgent('http', name, service.port, server)),
    )
    for (const agent of agents) agent.kill('SIGKILL')
    await Promise.all(agents.map((agent) => agent.exited))
  }
  await round()
  const base = await settled([server.process.pid])
  for (let count = 0; count < 2; count++) await round()
  expect(await comeBack([server.process.pid], base)).toBe(true)
})

/** Descriptors of processes once two looks in a row see the same: start-up opens files for a while. */
async function settled(pids: readonly number[]): Promise<number[]> {
  let before: number[] = []
  return await until(
    () => {
      const now = pids.map(descriptorsOf)
      const same = now.every((count, index) => count === before[index])
      before = now
      return same && now
    },
    { pollMs: 250 },
  )
}

/** Waits until no process has more descriptors than before. */
async function comeBack(pids: readonly number[], base: readonly number[]): Promise<true> {
  return await until(() => pids.every((pid, index) => descriptorsOf(pid) <= (base[index] ?? 0)), {
    what: `descriptors are back to ${base.join(', ')}`,
  })
}
