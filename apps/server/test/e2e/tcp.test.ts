import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { connectRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { startAccess, startAgent, startServer } from './programs.ts'
import { tcpService } from './services.ts'

/** Server, agent and consumer around a TCP service; `accepted` is the service's side. */
async function tunnel(accept: (socket: Socket) => void = () => {}) {
  let resolve: (socket: Socket) => void = () => {}
  const accepted = new Promise<Socket>((settle) => (resolve = settle))
  const service = await tcpService((socket) => {
    resolve(socket)
    accept(socket)
  })
  const server = await startServer()
  const agent = await startAgent('tcp', 'pg', service.port, server)
  const access = await startAccess('pg', server)
  return { service, server, agent, access, accepted }
}

test('what is sent through adit access comes back from an echo service', async () => {
  const { access } = await tunnel((socket) => socket.pipe(socket))
  using connection = await connectRaw(access.port)
  await connection.send('ping')
  expect((await connection.read(4)).toString()).toBe('ping')
})

test('a service that speaks first is heard before a byte was sent to it', async () => {
  const { access } = await tunnel((socket) => {
    socket.on('end', () => socket.end()).resume()
    socket.write('220 ready\r\n')
  })
  using connection = await connectRaw(access.port)
  expect(await connection.readTo('\r\n')).toBe('220 ready\r\n')
})

test('a client that has ended its direction still hears the whole answer', async () => {
  const { access } = await tunnel((socket) => {
    const heard: Buffer[] = []
    socket.on('data', (chunk: Buffer) => heard.push(chunk))
    socket.on('end', () => socket.end(`you said ${Buffer.concat(heard).toString()}`))
  })
  using connection = await connectRaw(access.port)
  await connection.send('all I have')
  connection.end()
  expect((await connection.readToEnd()).toString()).toBe('you said all I have')
  expect(await connection.ended).toBe('fin')
})

test('a service that has ended its direction still hears the rest', async () => {
  const { access, accepted } = await tunnel((socket) => socket.end('that was it'))
  using connection = await connectRaw(access.port)
  expect((await connection.readToEnd()).toString()).toBe('that was it')
  const service = await accepted
  await connection.send('one more thing')
  const [heard] = (await once(service, 'data')) as [Buffer]
  expect(heard.toString()).toBe('one more thing')
  connection.end()
  await once(service, 'end')
})

test('a reset of the service is a reset at the client', async () => {
  const { access, accepted } = await tunnel((socket) => socket.write('x'))
  using connection = await connectRaw(access.port)
  await connection.read(1)
  ;(await accepted).resetAndDestroy()
  expect(await connection.ended).toBe('reset')
  await access.process.line(/the service reset the connection/)
})

test('a reset of the client is a reset at the service', async () => {
  const { access, accepted } = await tunnel((socket) => socket.write('x'))
  using connection = await connectRaw(access.port)
  await connection.read(1)
  const service = await accepted
  const ended = once(service, 'error') as Promise<[NodeJS.ErrnoException]>
  connection.reset()
  expect((await ended)[0].code).toBe('ECONNRESET')
})

/** How a connection ends; a reset may come before the client hears that it is connected. */
async function endOf(port: number): Promise<string> {
  try {
    using connection = await connectRaw(port)
    return await connection.ended
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return 'reset'
    throw error
  }
}

test('a service that refuses is a reset at the client, and the consumer says why', async () => {
  const { access, service, agent } = await tunnel()
  await service.kill()
  expect(await endOf(access.port)).toBe('reset')
  const line = await access.process.line(/connection not carried/)
  expect(JSON.parse(line)).toMatchObject({
    level: 'warn',
    endpoint: 'pg',
    why: 'the service refused the connection',
  })
  await agent.line(/service not reached/)
})

test('an endpoint nobody serves is a reset at the client, and the consumer says why', async () => {
  const { access, agent } = await tunnel()
  await agent.stop()
  expect(await endOf(access.port)).toBe('reset')
  await access.process.line(/no agent serves the endpoint now/)
})

test('an endpoint that nobody serves yet can be brought here, and works once somebody does', async () => {
  const service = await tcpService((socket) => socket.end('here'))
  const server = await startServer()
  const access = await startAccess('later', server)
  expect(await endOf(access.port)).toBe('reset')
  await startAgent('tcp', 'later', service.port, server)
  using connection = await connectRaw(access.port)
  expect((await connection.readToEnd()).toString()).toBe('here')
})

test('a unix socket is a service like any other', async () => {
  using folder = temporaryDirectory()
  const path = `${folder.path}/service.sock`
  const unix = createServer((socket) => socket.end('over a unix socket'))
  unix.listen(path)
  await once(unix, 'listening')
  const server = await startServer()
  await startAgent('tcp', 'unix', `unix:${path}`, server)
  const access = await startAccess('unix', server)
  using connection = await connectRaw(access.port)
  expect((await connection.readToEnd()).toString()).toBe('over a unix socket')
  unix.close()
})
