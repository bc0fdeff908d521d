// @ts-check
// Two questions about "is this port usable?". What does asking cost, beside opening and closing a
// bare net server (the control), get-port and detect-port? And what does each of them answer while
// another program holds the port: the truth is the real bind and who then answers. Needs a build.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { parseArgs } from 'node:util'
import { detectPort } from 'detect-port'
import getPort, { clearLockedPorts } from 'get-port'
import { claim, explain, probe, verify } from '@proj/portcheck'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '101' } } })
const rounds = Number(values.rounds)

/** @typedef {'busy' | 'free' | 'warned'} Answer */

/** Sockets of the other program: options of `listen`. */
const HOLDERS = [
  { name: '0.0.0.0', host: '0.0.0.0' },
  { name: '127.0.0.1', host: '127.0.0.1' },
  { name: '127.0.0.2', host: '127.0.0.2' },
  { name: ':: dual', host: '::' },
  { name: ':: v6-only', host: '::', ipv6Only: true },
  { name: '::1', host: '::1' },
]

/** Where we want to listen; undefined is every address. */
const WANTS = [undefined, '0.0.0.0', '127.0.0.1', '::1']

/** @type {Record<string, (port: number, host: string | undefined) => Promise<Answer>>} */
const TOOLS = {
  portcheck: async (port, host) => {
    const { bind, warnings } = await probe(host === undefined ? port : { host, port })
    if (bind !== 'free') return 'busy'
    return warnings.length === 0 ? 'free' : 'warned'
  },
  'get-port': async (port, host) => {
    // it keeps a port it has handed out for itself for a while
    clearLockedPorts()
    const found = await getPort(host === undefined ? { port } : { port, host })
    return found === port ? 'free' : 'busy'
  },
  'detect-port': async (port, host) =>
    (await detectPort(host === undefined ? port : { port, hostname: host })) === port
      ? 'free'
      : 'busy',
}

await printCosts()
await printAnswers()

async function printCosts() {
  const port = await freePort()
  const held = await claim(port)
  const other = await freePort()
  /** @type {Record<string, () => Promise<unknown>>} */
  const subjects = {
    'net listen + close (control)': async () => await listenAndClose(other),
    probe: async () => await probe(other),
    'probe 127.0.0.1': async () => await probe({ host: '127.0.0.1', port: other }),
    'probe localhost': async () => await probe(`localhost:${other}`),
    'probe of a busy port': async () => await probe(port),
    explain: async () => await explain(other),
    'explain of a busy port': async () => await explain(port),
    'claim + close': async () => await (await claim(other)).close(),
    'verify, all is well': async () => await verify(held),
    'get-port': async () => await TOOLS['get-port']?.(other, undefined),
    'detect-port': async () => await TOOLS['detect-port']?.(other, undefined),
  }
  /** @type {Map<string, number[]>} */
  const samples = new Map(Object.keys(subjects).map((name) => [name, []]))
  for (let round = -5; round < rounds; round++) {
    for (const [name, run] of Object.entries(subjects)) {
      const start = performance.now()
      await run()
      if (round >= 0) samples.get(name)?.push(performance.now() - start)
    }
  }
  held.destroy()
  const control = quantile(samples.get('net listen + close (control)') ?? [], 0.5)
  console.log(`Cost of one answer, ${rounds} rounds, subjects in turn`)
  console.log(`  ${''.padEnd(30)} median ms   p95 ms   x control`)
  for (const [name, times] of samples) {
    const [middle, high] = [quantile(times, 0.5), quantile(times, 0.95)]
    console.log(
      `  ${name.padEnd(30)} ${fixed(middle)}  ${fixed(high)}  ${(middle / control).toFixed(1).padStart(10)}`,
    )
  }
}

async function printAnswers() {
  const names = Object.keys(TOOLS)
  /** @type {Record<string, { missed: number, refused: number }>} */
  const faults = Object.fromEntries(names.map((name) => [name, { missed: 0, refused: 0 }]))
  let shadows = 0
  let usable = 0
  console.log('\nAnswers while another program holds the port')
  console.log(
    `  ${['holder', 'we want', 'truth', ...names].map((cell) => cell.padEnd(13)).join(' ')}`,
  )
  for (const { name, ...options } of HOLDERS) {
    const holder = await holdElsewhere(options)
    for (const host of WANTS) {
      const truth = await tryBind(holder.port, host)
      // localhost then means them for one family and us for the other
      const isShadow = truth === 'free' && name !== '127.0.0.2'
      shadows += Number(isShadow)
      usable += Number(truth === 'free' && !isShadow)
      const cells = []
      for (const [tool, ask] of Object.entries(TOOLS)) {
        const answer = await ask(holder.port, host)
        const fault = faults[tool]
        const isMissed = isShadow && answer === 'free'
        const isRefused = truth === 'free' && !isShadow && answer !== 'free'
        if (fault !== undefined) {
          fault.missed += Number(isMissed)
          fault.refused += Number(isRefused)
        }
        cells.push(isMissed ? 'free (missed)' : isRefused ? `${answer} (wrong)` : answer)
      }
      const shown = isShadow ? 'shared' : truth
      console.log(
        `  ${[name, host ?? 'all', shown, ...cells].map((cell) => cell.padEnd(13)).join(' ')}`,
      )
    }
    holder.stop()
  }
  for (const [name, { missed, refused }] of Object.entries(faults)) {
    console.log(
      `  ${name}: ${missed} of ${shadows} silently shared ports missed, ${refused} of ${usable} usable ones refused`,
    )
  }
}

/** @param {number} port @param {string} [host] */
async function listenAndClose(port, host) {
  const server = createServer()
  server.listen({ port, ...(host === undefined ? {} : { host }) })
  await once(server, 'listening')
  server.close()
}

/** @param {number} port @param {string | undefined} host @returns {Promise<Answer>} */
async function tryBind(port, host) {
  try {
    await listenAndClose(port, host)
    return 'free'
  } catch {
    return 'busy'
  }
}

/** @param {object} options */
async function holdElsewhere(options) {
  const script = `require('net').createServer().listen({ port: 0, ...${JSON.stringify(options)} }, function () { console.log(this.address().port) })`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  return { port: Number(String(line)), stop: () => child.kill() }
}

async function freePort() {
  const held = await claim(0)
  held.destroy()
  return held.port
}

/** @param {readonly number[]} samples @param {number} share */
function quantile(samples, share) {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0
}

/** @param {number} ms */
function fixed(ms) {
  return ms.toFixed(2).padStart(8)
}
