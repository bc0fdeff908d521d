// A connection that breaks behind its last bytes must not look like one that ended: through both
// programs, by every way there is, in both directions.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { freePorts } from '@proj/testkit/free-ports'
import { connectRaw, endedByReset } from '@proj/testkit/raw-http'
import { spawned } from '@proj/testkit/spawned'
import { until } from '@proj/testkit/until'

import { startAccess, startAgent, startServer } from './programs.ts'
import { tcpService } from './services.ts'

/** It is the bytes on the wire that count, not the version of Node. */
const TIMES = process.env['ADIT_FULL_TESTS'] === '1' ? 15 : 5
const SIZES = [200, 5000, 60_000]

/** Ends a connection behind `bytes`, with a FIN, or with a reset in the same turn of the event loop. */
function answer(socket: Socket, bytes: Buffer, how: string): void {
  if (how === 'fin') socket.end(bytes)
  else {
    socket.write(bytes)
    socket.resetAndDestroy()
  }
}

/** How often each result came. */
async function counted<T extends string | number>(
  one: () => Promise<T>,
): Promise<Record<T, number>> {
  const counts: Partial<Record<T, number>> = {}
  for (let turn = 0; turn < TIMES; turn++) {
    const result = await one()
    counts[result] = (counts[result] ?? 0) + 1
  }
  return counts as Record<T, number>
}

/** GET with curl: `whole` for exit 0 and every byte, else the exit code. */
async function curl(port: number, path: string, bytes: number): Promise<string> {
  const url = `http://127.0.0.1:${port}${path}`
  const form = ['-s', '-o', '/dev/null', '-w', '%{size_download}\\n', '-H', 'Host: web.localhost']
  const run = spawned('curl', [...form, url])
  const { code } = await run.exited
  return code === 0 && Number(run.stdout) === bytes ? 'whole' : `exit ${code}`
}

describe('answers without a length', () => {
  test('a reset breaks every one of them, a FIN none', async () => {
    const service = await tcpService((socket) => {
      socket.once('data', (head: Buffer) => {
        const [, how = '', bytes = ''] = /^GET \/(\w+)\/(\d+) /.exec(head.toString('latin1')) ?? []
        const status = 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n'
        answer(socket, Buffer.concat([Buffer.from(status), Buffer.alloc(Number(bytes))]), how)
      })
    })
    const server = await startServer()
    await startAgent('http', 'web', service.port, server)
    for (const bytes of SIZES) {
      const get = (how: string) =>
        counted(() => curl(server.ports.proxy, `/${how}/${bytes}`, bytes))
      expect(await get('fin')).toEqual({ whole: TIMES })
      expect(Object.keys(await get('reset'))).not.toContain('whole')
    }
  })
})

describe.each(['access', 'public port'] as const)('a connection through %s', (way) => {
  async function path(accept: (socket: Socket) => void): Promise<number> {
    const service = await tcpService(accept)
    if (way === 'access') {
      const server = await startServer()
      await startAgent('tcp', 'pg', service.port, server)
      return (await startAccess('pg', server)).port
    }
    const { first } = await freePorts(1)
    const anywhere = { proxy: 0, upstream: 0, admin: 0 }
    const server = await startServer(anywhere, ['--public-ports.range', `${first}-${first}`])
    await startAgent('tcp', 'pg', service.port, server, ['--public-port', String(first)])
    return first
  }

  test('is reset when the service resets behind its last bytes, and ends when it ends', async () => {
    const port = await path((socket) => {
      socket.once('data', (order: Buffer) => {
        const [how = '', bytes] = String(order).split(' ')
        answer(socket, Buffer.alloc(Number(bytes)), how)
      })
    })
    for (const bytes of SIZES) {
      const ask = (how: string) =>
        counted(async () => {
          using connection = await connectRaw(port)
          await connection.send(`${how} ${bytes}`)
          const ended = await connection.ended
          const all = ended === 'reset' || (await connection.readToEnd()).length === bytes
          return all ? ended : 'cut'
        })
      expect(await ask('fin')).toEqual({ fin: TIMES })
      expect(await ask('reset')).toEqual({ reset: TIMES })
    }
  })

  test('is reset at the service when the client resets behind its last bytes', async () => {
    const open = new Set<Socket>()
    const ended = new Map<Socket, string>()
    const port = await path((socket) => {
      open.add(socket)
      socket.write('x')
      socket.resume()
      const end = (how: string): void => {
        if (!ended.has(socket)) ended.set(socket, how)
        socket.destroy()
      }
      socket.once('error', () => end('reset'))
      socket.once('end', () => end(endedByReset(socket) ? 'reset' : 'fin'))
      socket.once('close', () => open.delete(socket))
    })
    for (const bytes of SIZES) {
      for (let turn = 0; turn < TIMES; turn++) {
        using connection = await connectRaw(port)
        await connection.read(1)
        connection.socket.write(Buffer.alloc(bytes))
        connection.reset()
        await once(connection.socket, 'close')
      }
    }
    await until(() => ended.size === SIZES.length * TIMES && open.size === 0)
    expect([...ended.values()].filter((one) => one === 'fin')).toEqual([])
  })
})
