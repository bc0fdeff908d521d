// Ten printers on one port number each, two agents beside them, and one process that brings all ten to
// where somebody prints: the files of examples/ten-printers, run as they are. It happens in a network
// namespace, whose ports and addresses nobody else has, which takes root.
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { type NetworkNamespace, netns, netnsMissing } from '@proj/testkit/netns'
import { spawned, type Spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'

import { adit, aditServer } from './programs.ts'

const OFFICE = fileURLToPath(
  new URL('../../../../examples/ten-printers/office.yaml', import.meta.url),
)
const DESK = fileURLToPath(new URL('../../../../examples/ten-printers/desk.yaml', import.meta.url))
const PRINTERS = fileURLToPath(new URL('fixtures/printers.mjs', import.meta.url))
const PRINT = fileURLToPath(new URL('fixtures/print.mjs', import.meta.url))

/** Of each printer: its address in the office, and the one at the desk. */
const NUMBERS = Array.from({ length: 10 }, (_, index) => index + 11)
const BESIDE = NUMBERS.map((number) => `192.168.1.${number}`)
const BROUGHT = NUMBERS.map((number) => `127.0.0.${number}:9100`)

/** Large enough not to fit into the buffers on the way. */
const JOB_BYTES = 1_000_000

const PRINTED = BESIDE.map((address) => `${address} printed ${JOB_BYTES} bytes`)

/** The farm: what a test starts in the namespace. */
class Farm {
  readonly #network: NetworkNamespace
  readonly #directory = temporaryDirectory()

  constructor(network: NetworkNamespace) {
    this.#network = network
    onTestFinished(() => this.#directory[Symbol.dispose]())
    for (const address of BESIDE) network.ip('addr', 'add', `${address}/32`, 'dev', 'lo')
  }

  async server(): Promise<Spawned> {
    const server = this.#aditServer([])
    await server.event('ready')
    return server
  }

  /** A token for printers, made beside the server. */
  async token(may: 'listen' | 'connect'): Promise<string> {
    const made = this.#aditServer(['token', 'create', '--endpoints', 'printer-*', '--may', may])
    await made.exited
    return (JSON.parse(made.stdout) as { token: string }).token
  }

  async agent(token?: string): Promise<Spawned> {
    const agent = this.office(['start', '--config', OFFICE], token)
    await agent.event('ready')
    return agent
  }

  office(args: readonly string[], token?: string): Spawned {
    return this.#adit([...args, '--connect.url', 'http://127.0.0.1:8001'], token)
  }

  desk(token?: string): Spawned {
    const args = ['start', '--config', DESK, '--connect.url', 'http://127.0.0.1:8000']
    return this.#adit(args, token)
  }

  #aditServer(args: readonly string[]): Spawned {
    const { prefix } = this.#network
    const env = { ADIT_DATA_DIR: this.#directory.path }
    return aditServer([...args, '--json'], { prefix, env })
  }

  #adit(args: readonly string[], token: string | undefined): Spawned {
    const { prefix } = this.#network
    return adit([...args, '--json'], { prefix, env: { ADIT_CONNECT_TOKEN: token } })
  }

  node(...args: readonly string[]): Spawned {
    const [command = '', ...line] = [...this.#network.prefix, process.execPath, ...args]
    return spawned(command, line)
  }

  async printers(): Promise<Spawned> {
    const printers = this.node(PRINTERS, '9100', ...BESIDE)
    await printers.line(/^ready$/)
    return printers
  }

  /** Prints everywhere at once: what each printer answered, or the error of the connection. */
  async print(targets: readonly string[] = BROUGHT): Promise<unknown[]> {
    const printing = this.node(PRINT, String(JOB_BYTES), ...targets)
    await printing.exited
    return JSON.parse(printing.stdout) as unknown[]
  }

  /** Prints until every job is printed, after something was restarted. */
  async printAgain(): Promise<unknown[]> {
    const printed = async (): Promise<unknown[] | undefined> => {
      const answers = await this.print()
      return answers.every((answer) => typeof answer === 'string') ? answers : undefined
    }
    return await until(printed, { what: 'every printer answers' })
  }
}

const missing = netnsMissing()

test('ten printers: each part may die and come back', async ({ skip }) => {
  skip(missing !== undefined, missing)
  using network = netns()
  const farm = new Farm(network)
  const printers = await farm.printers()
  const server = await farm.server()
  const agents = [await farm.agent(), await farm.agent()]
  const desk = farm.desk()
  await desk.event('ready')

  // A printer answers only after the FIN of its job: half-close is carried.
  expect(await farm.print()).toEqual(PRINTED)

  // One agent dies: the other carries everything.
  agents[0]?.kill('SIGKILL')
  await agents[0]?.exited
  expect(await farm.printAgain()).toEqual(PRINTED)
  await farm.agent()

  // The server dies: agents and desk come back by themselves, on addresses they never gave up.
  server.kill('SIGKILL')
  await server.exited
  await farm.server()
  expect(await farm.printAgain()).toEqual(PRINTED)

  // A printer is switched off: whoever prints on it is reset, the log says why, the others go on.
  printers.write('off 192.168.1.13\n')
  await printers.line(/^off/)
  const one = await farm.print()
  expect(one).toEqual(PRINTED.map((text, at) => (at === 2 ? { error: 'ECONNRESET' } : text)))
  await desk.line(/printer-3.*the service refused the connection/)
  printers.write('on 192.168.1.13\n')
  await printers.line(/^on/)
  expect(await farm.printAgain()).toEqual(PRINTED)
})

test('ten printers: an address that another program has is found before anything is announced', async ({
  skip,
}) => {
  skip(missing !== undefined, missing)
  using network = netns()
  const farm = new Farm(network)
  await farm.printers()
  await farm.server()
  await farm.agent()
  const first = farm.desk()
  await first.event('ready')
  first.kill('SIGKILL')
  await first.exited
  const thief = farm.node(PRINTERS, '9100', '127.0.0.15')
  await thief.line(/^ready$/)
  const second = farm.desk()
  expect(await second.exited).toMatchObject({ code: 3 })
  expect(second.stdout).toBe('')
  expect(second.stderr).toContain(`127.0.0.15:9100`)
  expect(second.stderr).toContain(`pid ${thief.pid}`)
  await thief.stop()
  await farm.desk().event('ready')
  expect(await farm.print()).toEqual(PRINTED)
})

test('ten printers: no stranger at the door, and names that wait for their agent', async ({
  skip,
}) => {
  skip(missing !== undefined, missing)
  using network = netns()
  const farm = new Farm(network)
  await farm.printers()
  const [office, desk, stranger] = await Promise.all([
    farm.token('listen'),
    farm.token('connect'),
    farm.token('listen'),
  ])
  const server = await farm.server()
  for (const number of NUMBERS.keys()) {
    const reserved = farm.office(['reserve', `printer-${number + 1}`, '--kind', 'tcp'], office)
    expect(await reserved.exited).toMatchObject({ code: 0 })
  }
  // The names are held although no agent is there yet, and by a server that was killed meanwhile.
  server.kill('SIGKILL')
  await server.exited
  await farm.server()
  const thief = farm.office(['tcp', 'printer-3', '192.168.1.13:9100'], stranger)
  expect(await thief.exited).toMatchObject({ code: 4 })
  expect(thief.stderr).toContain('reserved for')

  await farm.agent(office)
  const reading = farm.desk(desk)
  await reading.event('ready')
  expect(await farm.print()).toEqual(PRINTED)
  await reading.stop()

  // What a token may do is asked of each: listening is not printing, and nothing is neither.
  const nobody = farm.desk()
  expect(await nobody.exited).toMatchObject({ code: 4 })
  const listener = farm.desk(office)
  await listener.event('ready')
  expect(await farm.print(BROUGHT.slice(0, 1))).toEqual([{ error: 'ECONNRESET' }])
  await listener.line(/not_permitted/)
})
