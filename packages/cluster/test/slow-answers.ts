// A line on which every answer of a server comes late: a TCP relay that holds back what comes from it.
import { connect, createServer, type Server } from 'node:net'
import { listening } from '@proj/testkit/listening'
import { onTestFinished } from 'vitest'

/** Starts a relay to a port of 127.0.0.1. @returns its port. */
export async function slowAnswers(port: number, delayMs: number): Promise<number> {
  const server: Server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    const end = (): void => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    near.pipe(far)
    far.on('data', (chunk) => {
      setTimeout(() => near.write(chunk), delayMs)
    })
  })
  const relay = await listening(server)
  onTestFinished(async () => {
    await relay[Symbol.asyncDispose]()
  })
  return relay.port
}
