import { mkdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import {
  configDirectories,
  editYaml,
  type EditedValue,
  type LoadedSettings,
  type ResolvedValue,
  Secret,
} from '@proj/config'
import { isLoopback } from '@proj/config/address'
import {
  ask,
  defaultFileOf,
  EXIT,
  findDefaultFile,
  type Invocation,
  jsonLine,
  readInput,
  UserError,
} from '@proj/program-kit'
import { checkServer, isTunnelError } from '@proj/tunnel'

import { serverOptions } from '../connect/server-options.ts'
import type { AgentTree, AgentSettings } from '../settings.ts'
import type { OwnCommands } from './commands.ts'
import { explainError } from './explain-error.ts'

/** How often a token is asked for. */
const MAX_QUESTIONS = 3

/** Links that are followed to the configuration file. */
const MAX_LINKS = 16

/** The token of a login: from a file that is read again, or itself. */
type Credentials = { readonly tokenFile?: string; readonly token?: string } | undefined

/**
 * `adit login`: tries the server and the token, and writes both into the configuration file of the user, which
 * every later command reads.
 *
 * @throws {UserError} when the server does not accept the token, or the file cannot be written.
 */
export async function logIn(
  invocation: Invocation<AgentTree, OwnCommands>,
  { url: given, tokenStdin }: { readonly url: string | undefined; readonly tokenStdin: boolean },
): Promise<number> {
  const { loaded, json, around } = invocation
  const { stdout } = around
  const file = await userFile(around.env)
  const named = given ?? namedUrl(loaded)
  const url = named === undefined ? await askUrl(invocation) : serverUrl(named)
  if (url === undefined) return EXIT.failed
  const connect = { ...loaded.settings.connect, url: [url] }
  const found = await findCredentials(invocation, connect, tokenStdin)
  if (found === 'stopped') return EXIT.failed
  const { token, tokenFile } = found ?? {}
  await writeValues(file, {
    ...givenFlags(loaded.values),
    'connect.url': [url],
    'connect.token': token,
    'connect.token_file': tokenFile,
  })
  const hasToken = found !== undefined
  if (json) stdout.write(jsonLine({ url, file, hasToken }))
  else {
    const without = hasToken ? '' : ' (it asks for no token)'
    stdout.write(`${url} accepts this agent${without}\nwritten to ${file}\n`)
  }
  return EXIT.ok
}

/**
 * The URL of --url or the variable; that of a file is the one to replace.
 *
 * @throws {UserError} when there are several.
 */
function namedUrl({ settings, values }: LoadedSettings<AgentTree>): string | undefined {
  const origin = values.find(({ key }) => key === 'connect.url')?.origin.kind
  if (origin !== 'flag' && origin !== 'environment') return undefined
  const [url, ...more] = settings.connect.url
  if (more.length === 0) return url
  throw new UserError('adit login takes one server, and --url names several', {
    exitCode: EXIT.usage,
    hint: 'adit login https://tunnel.example.com; write several into connect.url of a file',
  })
}

/** The flags that the server was reached with: later commands need them too. A proxy may have a password and stays out. */
function givenFlags(values: readonly ResolvedValue[]): Record<string, EditedValue> {
  const kept = values.filter(({ key, origin, text }) => {
    const isOther = !['connect.url', 'connect.token', 'connect.proxy_url'].includes(key)
    return key.startsWith('connect.') && isOther && origin.kind === 'flag' && text !== undefined
  })
  return Object.fromEntries(kept.map(({ key, text }) => [key, text]))
}

/**
 * The URL of a server as people write it: `tunnel.example.com`, `localhost:8001`.
 *
 * @throws {UserError} for what is no address.
 */
export function serverUrl(text: string): string {
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  const host = /^(?:\[[^\]]*\]|[^:/]*)/.exec(text)?.[0] ?? ''
  const isLocal = host === 'localhost' || isLoopback(host.replaceAll(/[[\]]/g, ''))
  const full = hasScheme ? text : `${isLocal ? 'http' : 'https'}://${text}`
  const parsed = URL.canParse(full) ? new URL(full) : undefined
  const isKnown = parsed !== undefined && /^(?:https?|wss?):$/.test(parsed.protocol)
  if (!isKnown || parsed.username !== '' || parsed.password !== '') {
    throw new UserError('the URL of the server cannot be used', {
      exitCode: EXIT.usage,
      hint: 'write https://tunnel.example.com or http://localhost:8001, without user and password',
    })
  }
  return full.replace(/\/+$/, '')
}

async function askUrl({ around }: Invocation<AgentTree, OwnCommands>): Promise<string | undefined> {
  const { stdin, stderr, signals } = around
  if (stdin?.isTTY !== true) {
    throw new UserError('the URL of the server is missing', {
      exitCode: EXIT.usage,
      hint: 'adit login https://tunnel.example.com',
    })
  }
  const question = { input: stdin, output: stderr, signal: signals.stop }
  const answer = await ask('Server [http://localhost:8001]: ', question)
  return answer === undefined ? undefined : serverUrl(answer || 'http://localhost:8001')
}

/** @returns a token that the server accepts, undefined when it asks for none. */
async function findCredentials(
  invocation: Invocation<AgentTree, OwnCommands>,
  connect: AgentSettings['connect'],
  tokenStdin: boolean,
): Promise<Credentials | 'stopped'> {
  const { loaded, around } = invocation
  const { stdin, stderr, signals } = around
  const tryWith = async (token: Secret | undefined): Promise<void> => {
    const { url, ...server } = await serverOptions({ ...connect, token }, around.env)
    await checkServer({ ...server, url: url[0] ?? '' }, { signal: signals.stop })
  }
  const origin = loaded.values.find(({ key }) => key === 'connect.token')?.origin.kind
  // The token of the file is the one to replace.
  const token = origin === 'file' ? undefined : connect.token
  if (tokenStdin && stdin !== undefined) {
    const piped = await readInput(stdin, { signal: signals.stop })
    if (piped === '') {
      throw new UserError('standard input has no token', {
        exitCode: EXIT.usage,
        hint: 'adit login URL --token-stdin < FILE',
      })
    }
    await tryOnce(tryWith, new Secret(piped))
    return { token: piped }
  }
  if (token !== undefined) {
    await tryOnce(tryWith, token)
    return token.file === undefined ? { token: token.reveal() } : { tokenFile: token.file }
  }
  try {
    await tryWith(undefined)
    return undefined
  } catch (error) {
    if (!isTunnelError(error, 'TUNNEL_UNAUTHORIZED')) throw explainError(error, { token })
    if (stdin?.isTTY !== true) throw explainError(error, { token })
  }
  const question = { input: stdin, output: stderr, signal: signals.stop, isSecret: true }
  for (let asked = 1; ; asked++) {
    const answer = await ask('Token: ', question)
    if (answer === undefined || answer === '') return 'stopped'
    const secret = new Secret(answer)
    try {
      await tryWith(secret)
      return { token: answer }
    } catch (error) {
      const isDenied = isTunnelError(error, 'TUNNEL_UNAUTHORIZED')
      if (!isDenied || asked === MAX_QUESTIONS) throw explainError(error, { token: secret })
      stderr.write(`the server does not accept it: ${error.message}\n`)
    }
  }
}

async function tryOnce(tryWith: (token: Secret) => Promise<void>, token: Secret): Promise<void> {
  try {
    await tryWith(token)
  } catch (error) {
    throw explainError(error, { token })
  }
}

/**
 * The file of the user that every command reads.
 *
 * @throws {UserError} when it has a form that cannot be edited, or there is no home directory.
 */
async function userFile(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const definition = defaultFileOf('adit')
  const [directory] = configDirectories(definition.directory, { env })
  const { files } = await findDefaultFile(definition, env)
  const [file] = files
  if (directory === undefined || directory.startsWith('/etc/')) {
    throw new UserError('there is no home directory to write to: HOME is not set', {
      exitCode: EXIT.usage,
    })
  }
  if (file === undefined || dirname(file) !== directory) return join(directory, 'adit.yaml')
  if (/\.ya?ml$/.test(file)) return file
  throw new UserError(`${file} is not in YAML and cannot be changed by this command`, {
    exitCode: EXIT.usage,
    hint: 'write connect.url and connect.token into it, or rename it',
  })
}

/** Changes the file in one step; only its owner can read it. */
async function writeValues(
  file: string,
  values: Readonly<Record<string, EditedValue>>,
): Promise<void> {
  let temporary = `${file}.${process.pid}.new`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    // A link stays a link: renamed to is what it leads to.
    const real = await targetOf(file)
    temporary = `${real}.${process.pid}.new`
    const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    await writeFile(temporary, editYaml(before, values), { mode: 0o600, flag: 'wx' })
    await rename(temporary, real)
  } catch (error) {
    await rm(temporary, { force: true })
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(`${file} cannot be written: ${why}`, { exitCode: EXIT.usage, cause: error })
  }
}

/** The file that a path leads to, through symbolic links, also where that file is not there yet. */
async function targetOf(file: string): Promise<string> {
  let path = file
  for (let links = 0; links < MAX_LINKS; links++) {
    const target = await readlink(path).catch(() => undefined) // no link, or no file
    if (target === undefined) return path
    path = resolve(dirname(path), target)
  }
  throw new Error('too many symbolic links')
}
