// A look at a port must not disturb others: those that look too, and programs that want another address.
import { once } from 'node:events'
import { type AddressInfo, type ListenOptions, Server } from 'node:net'

import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'

import { claim, findFree, probe } from '../../src/index.ts'

/** Hosts of the sockets that were opened, in order. The sockets are real. */
let opened: unknown[] = []
let onBusy = (): void => {}

beforeEach(() => {
  opened = []
  const listen = Reflect.get(Server.prototype, 'listen') as (...values: unknown[]) => Server
  vi.spyOn(Server.prototype, 'listen').mockImplementation(function (
    this: Server,
    ...values: unknown[]
  ) {
    opened.push((values[0] as ListenOptions).host)
    const server = listen.apply(this, values)
    server.prependOnceListener('error', () => onBusy())
    return server
  })
})

afterEach(() => {
  vi.restoreAllMocks()
  onBusy = () => {}
})

async function freePort(): Promise<number> {
  const found = await findFree()
  await found.close()
  opened = []
  return found.port
}

async function listener(host: string, port: number): Promise<Server> {
  const server = new Server().listen(port, host)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  opened = []
  return server
}

describe('calls at the same time', () => {
  it('find a free port free, and a claim among them gets it', async () => {
    const port = await freePort()
    const want = `127.0.0.1:${port}`
    const looks = Array.from({ length: 8 }, async () => await probe(want))
    expect((await Promise.all(looks)).map(({ bind }) => bind)).toEqual(looks.map(() => 'free'))
    const [before, held, after] = await Promise.all([probe(want), claim(want), probe(want)])
    onTestFinished(() => held.destroy())
    expect([before.bind, held.port, after.bind]).toEqual(['free', port, 'busy'])
  })

  it('go on after one that rejects', async () => {
    const port = await freePort()
    await listener('127.0.0.1', port)
    const want = `127.0.0.1:${port}`
    const [rejected, look] = await Promise.allSettled([claim(want), probe(want)])
    expect(rejected.status).toBe('rejected')
    expect(look).toMatchObject({ value: { bind: 'busy' } })
  })
})

describe.runIf(process.platform === 'linux')('on Linux', () => {
  it.each(['127.0.0.1', '[::1]'])('a look at %s opens no other address', async (host) => {
    const port = await freePort()
    expect((await probe(`${host}:${port}`)).bind).toBe('free')
    const held = await claim(`${host}:${port}`)
    onTestFinished(() => held.destroy())
    expect(new Set(opened)).toEqual(new Set([host.replaceAll(/[[\]]/g, '')]))
  })

  it('opens nothing beside a socket that is busy', async () => {
    const port = await freePort()
    await listener('::1', port)
    expect(await probe(`localhost:${port}`)).toMatchObject({
      bind: 'busy',
      failed: { host: '::1', port },
    })
    expect(new Set(opened)).toEqual(new Set(['::1']))
  })

  it('looks again at a port that is busy for a moment', async () => {
    for (const look of [
      async (port: number) => (await probe(`127.0.0.1:${port}`)).bind,
      async (port: number) => (await probe(port)).bind,
    ]) {
      const port = await freePort()
      const other = await listener('127.0.0.1', port)
      // The other closes when our first bind has failed.
      onBusy = () => void other.close()
      expect(await look(port)).toBe('free')
      expect(opened.length).toBe(2)
    }
  })

  it('takes a listener that stays for the holder after two looks', async () => {
    const server = await listener('127.0.0.1', await freePort())
    const { port } = server.address() as AddressInfo
    expect((await probe(`127.0.0.1:${port}`)).bind).toBe('busy')
    expect(opened.length).toBe(2)
    await expect(claim(`127.0.0.1:${port}`)).rejects.toThrow('EADDRINUSE')
    // A claim is rejected after one look, and explains it with two.
    expect(opened.length).toBe(5)
  })
})
