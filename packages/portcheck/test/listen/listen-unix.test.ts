import { once } from 'node:events'
import {
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { connect, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'

import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, it, onTestFinished } from 'vitest'

import { findUnixSocket } from '../../src/holders/linux-unix-socket.ts'
import {
  type InheritedUnixSocket,
  listenInheritedUnix,
  listenUnix,
  type UnixListener,
} from '../../src/listen/listen-unix.ts'

const LISTEN = `require('node:net').createServer().listen(process.argv[1], () => console.log('listens'))`

describe('listenUnix', () => {
  it('serves connections, and removes the file when it closes', async () => {
    const path = freePath()
    const listener = await open(path, (socket) => socket.end('hello'))
    expect(await text(connect(path))).toBe('hello')
    await listener.close()
    expect(existsSync(path)).toBe(false)
  })

  it('allows only its owner to connect, unless mode is set', async () => {
    const path = freePath()
    const listener = await open(path)
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    listener.chmod(0o660)
    expect(lstatSync(path).mode & 0o777).toBe(0o660)
    const shared = freePath()
    await open(shared, () => {}, 0o666)
    expect(lstatSync(shared).mode & 0o777).toBe(0o666)
    await expect(open(freePath(), () => {}, 0o1000)).rejects.toThrow(RangeError)
  })

  it('replaces the file of a killed program', async () => {
    const path = freePath()
    const dead = spawned(process.execPath, ['-e', LISTEN, path])
    await dead.line(/listens/)
    dead.kill('SIGKILL')
    await dead.exited
    expect(lstatSync(path).isSocket()).toBe(true)
    await open(path, (socket) => socket.end('mine'))
    expect(await text(connect(path))).toBe('mine')
  })

  it('does not remove a socket with a listener, and reports it', async () => {
    const path = freePath()
    const holder = spawned(process.execPath, ['-e', LISTEN, path])
    await holder.line(/listens/)
    const failure = open(path)
    await expect(failure).rejects.toMatchObject({
      code: 'PORTCHECK_PORT_BUSY',
      address: `unix:${path}`,
    })
    const named = process.platform === 'linux' ? `held by node (pid ${holder.pid}` : 'EADDRINUSE'
    await expect(failure).rejects.toThrow(named)
    const words = process.platform === 'linux' ? `node (pid ${holder.pid}` : ''
    await expect(failure.catch(({ holder: who = '' }) => String(who))).resolves.toContain(words)
    expect(lstatSync(path).isSocket()).toBe(true)
  })

  it('never removes a file that is not a socket', async () => {
    const path = freePath()
    writeFileSync(path, 'precious')
    await expect(open(path)).rejects.toThrow('there is a file that is not a socket')
    expect(existsSync(path)).toBe(true)
  })

  it('reports a missing folder', async () => {
    await expect(open('/nowhere/at/all.sock')).rejects.toMatchObject({
      code: 'PORTCHECK_ADDRESS_ABSENT',
      message: 'cannot listen on unix:/nowhere/at/all.sock: ENOENT',
    })
  })

  it('waits for open connections when it closes, until the signal aborts', async () => {
    const path = freePath()
    const listener = await open(path)
    const client = connect(path)
    await once(client, 'connect')
    await expect.poll(() => listener.open).toBe(1)
    const closing = listener.close({ signal: AbortSignal.abort(new Error('enough')) })
    await expect(closing).rejects.toThrow('enough')
    listener.destroy()
    await listener.closed
    await once(client.resume(), 'close')
  })
})

describe.runIf(process.platform === 'linux')(
  'a unix socket that another process takes over',
  () => {
    const TAKER = `
    const taken = require('node:net').createServer((one) => one.end('taker'))
    taken.listen({ fd: 3 }, () => console.log('listens'))
  `

    it('is served by that process when this one has closed it', async () => {
      const path = freePath()
      const listener = await open(path, (socket) => socket.end('first'))
      expect(readdirSync(dirname(path))).toEqual(['one.sock'])
      const descriptors = [descriptorOf(listener).fd]
      const taker = spawned(process.execPath, ['-e', TAKER], { descriptors })
      await taker.line(/listens/)
      listener.keepsFile = true
      await listener.close()
      expect(await text(connect(path))).toBe('taker')
    })

    it('is not taken, and not removed, when another socket has its path', async () => {
      const path = freePath()
      const listener = await open(path)
      const { ino } = descriptorOf(listener)
      renameSync(path, `${path}.old`)
      await open(path, (socket) => socket.end('other'))
      const fd = openSync('/dev/null', 'r')
      expect(await listenInheritedUnix({ fd, path, ino }, () => {})).toBeUndefined()
      expect(() => fstatSync(fd)).toThrow('EBADF')
      await listener.close()
      expect(await text(connect(path))).toBe('other')
    })

    it('has no descriptor once it is closed, or with a path that leaves no room for a second name', async () => {
      const listener = await open(freePath())
      await listener.close()
      expect(listener.descriptor).toBeUndefined()
      const long = `${dirname(freePath())}/`.padEnd(105, 'x')
      const direct = await open(long, (socket) => socket.end('long'))
      expect(direct.descriptor).toBeUndefined()
      expect(await text(connect(long))).toBe('long')
      await direct.close()
      expect(existsSync(long)).toBe(false)
    })

    it('names this program as the holder', async () => {
      const path = freePath()
      await open(path)
      await expect(open(path)).rejects.toThrow(`held by this process (pid ${process.pid}`)
    })

    const descriptorOf = ({ descriptor }: UnixListener): InheritedUnixSocket => {
      if (descriptor === undefined) throw new Error('it has no descriptor')
      return descriptor
    }
  },
)

describe('findUnixSocket', () => {
  const line = (flags: string, inode: number, path: string) =>
    `0000000000000000: 00000002 00000000 ${flags} 0001 01 ${inode} ${path}`

  it('returns the listening socket of exactly this path, the newest of several', () => {
    const table = [
      'Num       RefCount Protocol Flags    Type St Inode Path',
      line('00010000', 1, '/run/a.sock'),
      line('00000000', 2, '/run/a.sock'), // an accepted connection has the path as well
      line('00010000', 3, '/other/run/a.sock'),
      line('00010000', 4, '/run/a.sock'),
    ].join('\n')
    expect(findUnixSocket(table, '/run/a.sock')).toBe(4)
    expect(findUnixSocket(table, '/run/b.sock')).toBeUndefined()
    const bound = line('00010000', 5, '/run/a.sock~0a1b2c')
    expect(findUnixSocket(bound, '/run/a.sock')).toBe(5)
    expect(findUnixSocket(`${bound}d`, '/run/a.sock')).toBeUndefined()
  })
})

function freePath(): string {
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  return `${folder.path}/one.sock`
}

async function open(
  path: string,
  onConnection: (socket: Socket) => void = () => {},
  mode?: number,
): Promise<UnixListener> {
  const listener = await listenUnix(path, { onConnection, ...(mode !== undefined && { mode }) })
  onTestFinished(async () => await listener[Symbol.asyncDispose]())
  return listener
}
