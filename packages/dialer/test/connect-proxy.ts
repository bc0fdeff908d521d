import { connect } from 'node:net'

import type { Listening } from '@proj/testkit/listening'
import { scriptedPeer } from '@proj/testkit/scripted-peer'

/** A small HTTP proxy with CONNECT, for tests that need a working proxy. */
export async function connectProxy(options: {
  /** `user:password` that it requires. Default: none. */
  readonly credentials?: string
  /** Port of this host for every tunnel. Default: the port in the request. */
  readonly forward?: number
}): Promise<Listening & { readonly requests: string[] }> {
  const requests: string[] = []
  const basic = Buffer.from(options.credentials ?? '').toString('base64')
  const proxy = await scriptedPeer(async ({ readUntil, send, socket }) => {
    const head = await readUntil('\r\n\r\n')
    const [line = ''] = head.split('\r\n')
    requests.push(line)
    if (options.credentials !== undefined && !head.includes(`Basic ${basic}\r\n`)) {
      send('HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n')
      socket.end()
      return
    }
    const [, host = '', port = '0'] = /^CONNECT (.*):(\d+) /.exec(line) ?? []
    const to = options.forward === undefined ? host.replace(/^\[(.*)\]$/, '$1') : '127.0.0.1'
    const onward = connect(options.forward ?? Number(port), to, () => {
      send('HTTP/1.1 200 OK\r\n\r\n')
      socket.removeAllListeners('data')
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => socket.destroy())
    // No half-open tunnels: the end of one side closes both.
    socket.on('end', () => onward.destroy())
    socket.on('close', () => onward.destroy())
    onward.on('close', () => socket.destroy())
  })
  return { ...proxy, requests }
}
