// Binding a socket to a device needs setsockopt() between socket() and connect(). This is possible
// from Node 24.19 and 26.4 on: net.BoundSocket has a file descriptor, and node:ffi, on by default in
// 26, makes the call. Where one of them is missing the dial fails; without the bind, packets would
// leave through the wrong interface.

import * as net from 'node:net'

import { DialError } from '../errors.ts'

// From asm-generic/socket.h; the same on x86, ARM, RISC-V, s390x and POWER.
const SOL_SOCKET = 1
const SO_BINDTODEVICE = 25
// IFNAMSIZ of linux/if.h, with the zero at the end.
const MAX_NAME_BYTES = 15

/**
 * Starts a connection through a device. The returned socket is still connecting.
 * @throws {DialError} DIAL_BIND_DEVICE
 */
export async function connectThroughDevice(
  device: string,
  options: net.TcpNetConnectOpts,
): Promise<net.Socket> {
  const { BoundSocket } = net as NetWithBoundSocket
  const setsockopt = await loadSetsockopt()
  if (process.platform !== 'linux' || BoundSocket === undefined || setsockopt === undefined) {
    throw new DialError(
      'DIAL_BIND_DEVICE',
      `cannot bind a socket to the device ${JSON.stringify(device)} on this platform with Node ${process.version}`,
      {
        phase: 'bind',
        leg: 'local',
        hint: 'this needs Linux and Node 26.4 or newer; otherwise set a source address and the policy rule that explain prints',
      },
    )
  }
  const { localAddress, localPort, ...rest } = options
  const host = localAddress ?? (options.family === 6 ? '::' : '0.0.0.0')
  const bound = new BoundSocket({ host, port: localPort ?? 0 })
  const name = Buffer.from(`${device}\0`)
  const result =
    Buffer.byteLength(device) > MAX_NAME_BYTES
      ? -1
      : setsockopt(bound.fd(), SOL_SOCKET, SO_BINDTODEVICE, name, name.length)
  if (result !== 0) {
    bound.close()
    throw new DialError(
      'DIAL_BIND_DEVICE',
      `the system rejected the device ${JSON.stringify(device)}`,
      {
        phase: 'bind',
        leg: 'local',
        retry: 'slow',
        hint: 'check the name; kernels before 5.7 also need the capability CAP_NET_RAW',
      },
    )
  }
  return net.connect({ ...rest, handle: bound } as net.TcpNetConnectOpts)
}

// Declared here because @types/node has the version of the oldest supported Node.
interface BoundSocketLike {
  fd(): number
  close(): void
}
type NetWithBoundSocket = typeof net & {
  BoundSocket?: new (options: { host: string; port: number }) => BoundSocketLike
}
type Setsockopt = (fd: number, level: number, name: number, value: Buffer, bytes: number) => number
interface ForeignFunctions {
  dlopen(
    path: null,
    definitions: Readonly<Record<string, { arguments: readonly string[]; return: string }>>,
  ): { readonly functions: { readonly setsockopt: Setsockopt } }
}

/** Finds the C library's setsockopt in the running process; undefined where node:ffi is missing. */
async function loadSetsockopt(): Promise<Setsockopt | undefined> {
  const specifier: string = 'node:ffi'
  try {
    const ffi = (await import(specifier)) as ForeignFunctions
    const signature = { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' }
    return ffi.dlopen(null, { setsockopt: signature }).functions.setsockopt
  } catch {
    return undefined
  }
}
