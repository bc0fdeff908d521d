// Sockets of another program. Node cannot set SO_REUSEADDR and SO_REUSEPORT one by one, cannot bind
// without listening and cannot leave a full backlog, so the other program is a Python script. It
// answers every connection with one byte, `H`, and ends when its input does: it ends with the
// test, however that ends.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** What the other program does with its socket. */
export interface ForeignSocketOptions {
  /** IP literal to bind. */
  readonly host: string
  /** Port to bind. Default: one that nothing in either family uses. */
  readonly port?: number
  /** For IPv6. Default: false. */
  readonly v6only?: boolean
  /** SO_REUSEADDR. Default: false. */
  readonly reuseAddr?: boolean
  /** SO_REUSEPORT. Default: false. */
  readonly reusePort?: boolean
  /**
   * `listen` answers; `bound` only binds; `full` listens with a full backlog and never accepts;
   * `outgoing` is the local end of a connection to `peer`. Default: listen.
   */
  readonly mode?: 'listen' | 'bound' | 'full' | 'outgoing'
  /** Port to connect to on `host`, for `outgoing`. */
  readonly peer?: number
  /** User id to run as. Default: that of the test. */
  readonly uid?: number
  /** Command to run it under, such as `ip netns exec`. */
  readonly prefix?: readonly string[]
}

/** A socket of another program. */
export interface ForeignSocket {
  readonly port: number
  readonly pid: number
  /** Ends the program; its sockets close. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const SCRIPT = `
import errno, json, os, random, select, socket, sys
o = json.loads(sys.argv[1])
if o.get('uid') is not None: os.setuid(o['uid'])
v6 = ':' in o['host']
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
if v6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if o.get('v6only') else 0)
if o.get('reuseAddr'): s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if o.get('reusePort'): s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
def quiet():
    # Outgoing connections take their ports from another range, so this one stays free in the other family.
    while True:
        port = random.randint(10000, 30000)
        with socket.socket(socket.AF_INET6) as trial:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try: trial.bind(('::', port))
            except OSError: continue
        try: return s.bind((o['host'], port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE: raise
if o.get('port'): s.bind((o['host'], o['port']))
else: quiet()
mode = o.get('mode', 'listen')
fill = []
if mode == 'listen': s.listen(64)
if mode == 'outgoing': s.connect((o['host'], o['peer']))
if mode == 'full':
    s.listen(0)
    for _ in range(4):
        c = socket.socket(s.family)
        c.setblocking(False)
        c.connect_ex(s.getsockname()[:2])
        fill.append(c)
print(json.dumps({'port': s.getsockname()[1], 'pid': os.getpid()}), flush=True)
while True:
    ready, _, _ = select.select([sys.stdin] + ([s] if mode == 'listen' else []), [], [])
    if sys.stdin in ready and not sys.stdin.buffer.raw.read(1): break
    if s in ready:
        c, _ = s.accept()
        try: c.sendall(b'H')
        except OSError: pass
        c.close()
`

/** Whether Python is there; tests that need it are skipped, saying so, where it is not. */
export const hasForeignSockets: boolean =
  spawnSync('python3', ['-c', 'import select'], { stdio: 'ignore' }).status === 0

/** Opens a socket in another program. */
export async function foreignSocket(options: ForeignSocketOptions): Promise<ForeignSocket> {
  const { prefix = [], ...rest } = options
  const line = [...prefix, 'python3', '-c', SCRIPT, JSON.stringify(rest)]
  const child = spawn('/usr/bin/env', line, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const ready = await Promise.race([
    once(lines, 'line').then(([text]) => String(text)),
    exited.then(() => undefined),
  ])
  if (ready === undefined) throw new Error(`foreign socket failed: ${JSON.stringify(rest)}`)
  const { port, pid } = JSON.parse(ready) as { port: number; pid: number }
  const close = async (): Promise<void> => {
    child.stdin.end()
    await exited
  }
  return { port, pid, close, [Symbol.asyncDispose]: close }
}
