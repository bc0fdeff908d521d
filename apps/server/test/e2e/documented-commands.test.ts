// Blocks of commands of README and docs, typed as they stand by a reader who has installed both programs, on a
// machine (a network namespace) with a service at port 3000 and a TCP service at 5432. What ends has to end
// well; what runs on has to be online.
import { fileURLToPath } from 'node:url'
import { accountOf, COMMANDS, commandBlocks } from '@proj/scripts/documented-commands'
import { cleanEnvironment } from '@proj/testkit/clean-environment'
import { netns, netnsMissing } from '@proj/testkit/netns'
import { spawned, type Spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'

const PROGRAMS = {
  adit: fileURLToPath(new URL('../../../agent/bin/adit.js', import.meta.url)),
  'adit-server': fileURLToPath(new URL('../../bin/adit-server.js', import.meta.url)),
}
const SERVICES = `
  require('http').createServer((_, response) => response.end('hello')).listen(3000, '127.0.0.1')
  require('net').createServer((socket) => socket.end('hello')).listen(5432, '127.0.0.1', () => console.log('up'))`

/** What a program that runs on prints when it does what it is for. */
const RUNS = /^adit(?:-server)? \d/m

/** Files with their blocks: a later one may use what an earlier one has made. */
const FILES = new Map<string, string>()
for (const block of commandBlocks().filter((one) => accountOf(one) === COMMANDS)) {
  FILES.set(block.file, `${FILES.get(block.file) ?? ''}${block.text}\n`)
}

test('there are such blocks', () => expect(FILES.size).toBeGreaterThan(4))

/** The commands of a block, without remarks. */
function commandsOf(text: string): string[] {
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '')
}

async function verdict(command: string, program: Spawned): Promise<string> {
  const ended = program.exited.then(({ code }) =>
    code === 0 ? 'ended well' : `ended with ${code}`,
  )
  const runs = until(() => RUNS.test(program.stdout + program.stderr), { what: command })
  return await Promise.race([ended, runs.then(() => 'runs')])
}

test.for([...FILES])('%s', async ([, text], { skip }) => {
  const missing = netnsMissing()
  skip(missing !== undefined, missing ?? '')
  using network = netns()
  using home = temporaryDirectory()
  for (const [name, path] of Object.entries(PROGRAMS)) {
    home.write(`bin/${name}`, `#!/bin/sh\nexec "${process.execPath}" "${path}" "$@"\n`, 0o755)
  }
  home.write('site/index.html', 'hello')
  home.write('adit.yaml', 'listeners: [{ endpoint: web, addr: localhost:3000 }]')
  const type = (command: string): Spawned =>
    spawned('ip', [...network.prefix.slice(1), 'bash', '-c', `exec ${command}`], {
      cwd: home.path,
      env: {
        ...cleanEnvironment(),
        HOME: home.path,
        XDG_CONFIG_HOME: undefined,
        XDG_STATE_HOME: undefined,
        XDG_RUNTIME_DIR: undefined,
        STATE_DIRECTORY: `${home.path}/state`,
        PATH: `${home.path}/bin:${process.env['PATH'] ?? ''}`,
      },
    })
  await type(`"${process.execPath}" -e "${SERVICES}"`).line(/up/)
  const commands = commandsOf(text)
  // the block that begins with the server starts it; public ports need a range, as its remark says
  if (commands[0] === 'adit-server') commands.shift()
  const server = type('adit-server --public-ports.range 9900-9999')
  expect(await verdict('adit-server', server)).toBe('runs')
  const verdicts: string[] = []
  for (const command of commands) {
    const program = type(command)
    const said = await verdict(command, program)
    await program.stop()
    verdicts.push(`${command}: ${said}${said.startsWith('ended with') ? ` ${program.stderr}` : ''}`)
  }
  expect(verdicts.filter((one) => !/: (?:runs|ended well)$/.test(one))).toEqual([])
  expect(verdicts.length).toBeGreaterThan(0)
})
