import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { findFree } from '../../src/index.ts'
import { COMMAND, portcheck } from './command.ts'

const LIBRARY = new URL('../../dist/index.js', import.meta.url).href
const SERVER = `require('net').createServer((s) => s.end('from the child')).listen({ fd: 3 })`

describe('--hold', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('keeps the port until %s', async (signal) => {
    const port = await freePort()
    const holding = spawned(process.execPath, [COMMAND, `127.0.0.1:${port}`, '--hold'])
    await holding.line(/ free /)
    const seen = await portcheck([`127.0.0.1:${port}`])
    expect(seen).toMatchObject({ code: 1, stderr: '' })
    expect(seen.stdout).toContain(`pid ${holding.pid}`)
    holding.kill(signal)
    expect((await holding.exited).code).toBe(0)
    expect((await portcheck([`127.0.0.1:${port}`])).code).toBe(0)
  })

  it('passes the socket to a command, with clients that connect before it is ready', async () => {
    const port = await freePort()
    // the child listens only after a message; until then clients wait in the kernel
    const script = `process.stdin.once('data', () => { ${SERVER} }); console.log('PORT', process.env.PORT, process.env.PORTCHECK_FDS)`
    const args = [COMMAND, '--hold', `127.0.0.1:${port}`, '--', process.execPath, '-e', script]
    const holding = spawned(process.execPath, args)
    expect(await holding.line(/PORT/)).toBe(`PORT ${port} 3`)
    const early = text(connect({ host: '127.0.0.1', port }))
    await until(async () => (await portcheck([`127.0.0.1:${port}`])).code === 1)
    holding.write('go\n')
    expect(await early).toBe('from the child')
  })

  it.skipIf(process.platform === 'win32')(
    'passes the sockets as a service manager does',
    async () => {
      const port = await freePort()
      const script = `
      import { InheritedSockets, listen } from ${JSON.stringify(LIBRARY)}
      console.log(JSON.stringify({ event: 'variables', own: process.env.LISTEN_PID === String(process.pid), count: process.env.LISTEN_FDS, names: process.env.LISTEN_FDNAMES }))
      const inherited = InheritedSockets.fromServiceManager(process.env, process.pid)
      const web = await listen('localhost:${port}', { inherited, onConnection: (socket) => socket.end('activated') })
      console.log(JSON.stringify({ event: 'listening', origins: web.bound.map(({ origin }) => origin), problems: inherited.problems }))`
      using directory = temporaryDirectory()
      const file = directory.write('activated.mjs', script)
      // What the command itself was started with is not for its command.
      const env = { LISTEN_FDS: '7', LISTEN_PID: '1', LISTEN_FDNAMES: 'other' }
      const args = [COMMAND, '--hold', `localhost:${port}`, '--', process.execPath, file]
      const holding = spawned(process.execPath, args, { env })
      expect(await holding.event('variables')).toEqual({
        event: 'variables',
        own: true,
        count: '2',
      })
      expect(await holding.event('listening')).toMatchObject({
        origins: ['inherited', 'inherited'],
        problems: [],
      })
      for (const host of ['127.0.0.1', '::1']) {
        expect(await text(connect({ host, port }))).toBe('activated')
      }
      // A signal for the command reaches it: no shell is left in between.
      holding.kill('SIGTERM')
      expect((await holding.exited).code).toBe(128 + 15)
    },
  )

  it('sets no variables of a service manager without sockets', async () => {
    const script = `console.log(Object.keys(process.env).filter((name) => name.startsWith('LISTEN_')).join())`
    const seen = await portcheck(
      ['--find', '20000-20999', '--', process.execPath, '-e', script],
      ['LISTEN_FDS=7', 'LISTEN_PID=1'],
    )
    expect(seen).toMatchObject({ code: 0, stdout: '\n' })
  })

  it('exits like its command', async () => {
    const run = async (...command: string[]) =>
      (await portcheck(['0', '--hold', '--', ...command])).code
    expect(await run(process.execPath, '-e', 'process.exit(7)')).toBe(7)
    expect(await run(process.execPath, '-e', 'process.kill(process.pid, "SIGKILL")')).toBe(128 + 9)
    expect(await run('/no/such/command')).toBe(127)
    const missing = await portcheck(['0', '--hold', '--', 'no-such-command'])
    expect(missing.stderr).toBe('portcheck: cannot run no-such-command: ENOENT\n')
  })

  it('sets PORT and leaves the port free for a command without it', async () => {
    const script = `require('net').createServer().listen(+process.env.PORT, function () { console.log('mine'); this.close() })`
    const args = ['--find', '20000-20999', '--', process.execPath, '-e', script]
    expect(await portcheck(args)).toMatchObject({ code: 0, stdout: 'mine\n' })
  })
})

describe('the process', () => {
  it('ends without an error when its reader has closed the pipe', async () => {
    const script = `"${process.execPath}" "${COMMAND}" $(seq 20000 20050) | head -n 1; echo "\${PIPESTATUS[0]}"`
    const shell = spawned('bash', ['-c', script])
    await shell.exited
    expect([shell.stdout, shell.stderr]).toEqual([expect.stringMatching(/^20000 .*\n0\n$/), ''])
  })

  it('has no colours without a terminal', async () => {
    expect((await portcheck(['0'])).stdout).not.toContain('\u001b')
  })

  it('reports unknown and not busy when file descriptors run out', async () => {
    const script = `
      import { openSync } from 'node:fs'
      import { claim, probe } from ${JSON.stringify(LIBRARY)}
      await probe('127.0.0.1:0')
      try { for (;;) openSync('/dev/null') } catch {}
      const { bind, confidence } = await probe('127.0.0.1:0')
      const { code } = await claim('127.0.0.1:0').catch((error) => error)
      console.log(bind, confidence, code)`
    const limited = spawned('bash', [
      '-c',
      `ulimit -n 100; exec "${process.execPath}" --input-type=module -e "$0"`,
      script,
    ])
    await limited.exited
    expect(limited.stdout).toBe('unknown guess PORTCHECK_BIND_FAILED\n')
  })
})

describe('a restart', () => {
  it('reports the previous instance, and waits for it', async () => {
    // the same command line twice; the environment is different
    const script = `
      import { claim, explain } from ${JSON.stringify(LIBRARY)}
      if (process.env.PREVIOUS_PORT === undefined) {
        const { port } = await claim('127.0.0.1:0')
        console.log(JSON.stringify({ event: 'ready', port }))
      } else {
        const want = '127.0.0.1:' + process.env.PREVIOUS_PORT
        const { warnings } = await explain(want)
        console.log(JSON.stringify({ event: 'explained', warnings }))
        const { port } = await claim(want, { conflict: 'wait' })
        console.log(JSON.stringify({ event: 'claimed', port }))
        process.exit()
      }`
    const args = ['--input-type=module', '-e', script]
    const previous = spawned(process.execPath, args)
    const { port } = await previous.event('ready')
    const next = spawned(process.execPath, args, { env: { PREVIOUS_PORT: String(port) } })
    const { warnings } = await next.event('explained')
    expect(warnings).toMatchObject([
      { code: 'PC133', holder: { pid: previous.pid, relation: 'previous-instance' } },
    ])
    previous.kill('SIGTERM')
    expect(await next.event('claimed')).toMatchObject({ port })
  })
})

describe('a cluster', () => {
  it('gives a port to one worker and reports to the others that it is their own', async () => {
    const script = `
      import cluster from 'node:cluster'
      import { claim } from ${JSON.stringify(LIBRARY)}
      if (cluster.isPrimary) {
        const held = await claim('127.0.0.1:0')
        await held.close()
        const answers = []
        for (let count = 0; count < 2; count += 1) {
          cluster.fork({ WANTED: held.port }).on('message', (answer) => {
            answers.push(answer)
            if (answers.length < 2) return
            console.log(JSON.stringify({ event: 'answers', answers: answers.sort() }))
            process.exit()
          })
        }
      } else {
        await claim('127.0.0.1:' + process.env.WANTED).then(
          () => process.send('won'),
          (error) => process.send(error.code + ' ' + error.report.holders[0]?.relation),
        )
      }`
    using directory = temporaryDirectory()
    const primary = spawned(process.execPath, [directory.write('cluster.mjs', script)])
    const { answers } = await primary.event('answers')
    expect(answers).toEqual(['PORTCHECK_PORT_BUSY self', 'won'])
  })
})

describe('200 claimers of 20 processes', () => {
  it('have exactly one winner per port', async () => {
    const range = { first: 10_000, last: 30_000 }
    const free = await Promise.all(
      Array.from({ length: 10 }, async () => await findFree({ range })),
    )
    const ports = free.map((one) => one.port)
    for (const one of free) one.destroy()
    const script = `
      import { claim } from ${JSON.stringify(LIBRARY)}
      console.log('ready')
      await new Promise((resolve) => process.stdin.once('data', resolve))
      const won = await Promise.all(${JSON.stringify(ports)}.map((port) => claim(port).then(() => port, (error) => error.code)))
      console.log(JSON.stringify({ event: 'done', won }))
      process.stdin.once('data', () => process.exit())`
    const racers = Array.from({ length: 20 }, () =>
      spawned(process.execPath, ['--input-type=module', '-e', script]),
    )
    await Promise.all(
      racers.map(async (racer) => await racer.line(/^ready$/, { timeoutMs: 60_000 })),
    )
    for (const racer of racers) racer.write('go\n')
    const done = await Promise.all(
      racers.map(async (racer) => await racer.event('done', { timeoutMs: 60_000 })),
    )
    const outcomes = done.flatMap((one) => one['won'])
    for (const port of ports) expect(outcomes.filter((one) => one === port)).toHaveLength(1)
    expect(outcomes.filter((one) => one === 'PORTCHECK_PORT_BUSY')).toHaveLength(190)
  })
})

/** A port outside of the range of outgoing connections. */
async function freePort(): Promise<number> {
  await using held = await findFree({ range: { first: 10_000, last: 30_000 } })
  return held.port
}
