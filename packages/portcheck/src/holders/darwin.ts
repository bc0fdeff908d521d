// Holders on macOS, from `lsof -F`: one field per line, with its kind in the first character. A `p` line
// starts a process, an `f` line one of its files. Without root only the caller's own processes are
// listed. The parser is tested with a sample and with the output of lsof on Linux, not on macOS.
import { type Holder, type HolderState, noteOn } from './holder.ts'
import { printable } from './printable.ts'
import { runTool } from './run-tool.ts'

const STATES: ReadonlyMap<string, HolderState> = new Map([
  ['LISTEN', 'listening'],
  ['ESTABLISHED', 'connected'],
  ['SYN_SENT', 'connected'],
  ['SYN_RECEIVED', 'connected'],
  ['CLOSE_WAIT', 'closing'],
  ['FIN_WAIT_1', 'closing'],
  ['FIN_WAIT_2', 'closing'],
  ['CLOSING', 'closing'],
  ['LAST_ACK', 'closing'],
  ['TIME_WAIT', 'time-wait'],
])

/** Finds the holders of a port; undefined when lsof cannot be run. */
export async function findDarwinHolders(port: number): Promise<Holder[] | undefined> {
  const output = await runTool('/usr/sbin/lsof', ['-nP', `-iTCP:${port}`, '-F', 'pcLftnT'])
  return output === undefined ? undefined : parseLsof(output, port)
}

/** Parses `lsof -F pcLftnT` and keeps the sockets whose local port is `port`. */
export function parseLsof(output: string, port: number): Holder[] {
  const holders = new Map<string, Holder>()
  let owner: Pick<Holder, 'pid' | 'name' | 'user' | 'note'> = {}
  let socket = { type: '', name: '', state: '' }
  const flush = (): void => {
    const holder = toHolder(socket, owner, port)
    if (holder !== undefined) holders.set(`${holder.pid} ${holder.host} ${holder.state}`, holder)
    socket = { type: '', name: '', state: '' }
  }
  for (const line of output.split('\n')) {
    const [kind, value] = [line.slice(0, 1), line.slice(1)]
    // Some releases print no `f` lines; the type is then the first line of a file.
    if (kind === 'p' || kind === 'f' || (kind === 't' && socket.name !== '')) flush()
    if (kind === 'p') owner = /^\d+$/.test(value) ? { pid: Number(value) } : {}
    if (kind === 'c') {
      const note = noteOn(value)
      owner = { ...owner, name: printable(value), ...(note === undefined ? {} : { note }) }
    }
    if (kind === 'L') owner = { ...owner, user: printable(value) }
    if (kind === 't') socket.type = value
    if (kind === 'n') socket.name = value
    if (kind === 'T' && value.startsWith('ST=')) socket.state = value.slice(3)
  }
  flush()
  return [...holders.values()]
}

function toHolder(
  socket: { type: string; name: string; state: string },
  owner: Pick<Holder, 'pid' | 'name' | 'user' | 'note'>,
  port: number,
): Holder | undefined {
  const [local = ''] = socket.name.split('->')
  const [, written = '', portText = ''] = /^(.*):(\d+)$/.exec(local) ?? []
  const state = STATES.get(socket.state)
  if (Number(portText) !== port || state === undefined) return undefined
  const wildcard = socket.type === 'IPv6' ? '::' : '0.0.0.0'
  const host = written === '*' ? wildcard : written.replace(/^\[(.*)\]$/, '$1')
  return { host, port, state, ...owner }
}
