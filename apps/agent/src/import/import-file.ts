/** `adit import`: makes a configuration of a file of frp, ngrok, cloudflared or Piko, and says what it leaves out. */
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'

import { escapeLines, formatProblems, hasErrors } from '@proj/config'
import { type RawNode, readFileText } from '@proj/config/layers'
import { toml } from '@proj/config/toml'
import { EXIT, type Invocation, jsonLine, readRegularFile, UserError } from '@proj/program-kit'

import type { OwnCommands } from '../commands/commands.ts'
import type { AgentTree } from '../settings.ts'
import { ForeignSection, type ImportNote } from './foreign-section.ts'
import { formatImported } from './imported-config.ts'
import { importFrom, programOf } from './programs.ts'
import { readIni } from './read-ini.ts'

/** Largest file, bytes. */
const MAX_FILE_BYTES = 4 * 1024 * 1024

/** What was made of a file. */
export interface Imported {
  /** The configuration, as YAML. */
  readonly yaml: string
  /** What was left out, or has to be done by hand, in the order of the lines. */
  readonly notes: readonly ImportNote[]
}

/**
 * Runs the command: writes the configuration to standard output, or to a file that is not there yet.
 *
 * @throws {UserError} for a file that cannot be read or is not known, and an output that exists.
 */
export async function importFile(
  { json, around }: Invocation<AgentTree, OwnCommands>,
  { file, output }: { readonly file: string; readonly output: string | undefined },
): Promise<number> {
  const { stdout, stderr, cwd } = around
  const path = resolve(cwd, file)
  const { yaml, notes } = await convert(path, await contentOf(path, file))
  if (output !== undefined) {
    const target = resolve(cwd, output)
    // the folder of adit login may not be there yet; what fails is told by the write
    await mkdir(dirname(target), { recursive: true, mode: 0o700 }).catch(() => undefined)
    // It may have passwords of visitors.
    await writeFile(target, yaml, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
      const { code } = error as { code?: unknown }
      const why = code === 'EEXIST' ? 'exists and is not changed' : 'cannot be written'
      throw new UserError(`${output} ${why}`, {
        exitCode: EXIT.usage,
        hint: `name another file: adit import ${file} FILE`,
        cause: error,
      })
    })
  }
  if (json) {
    stdout.write(jsonLine({ ...(output === undefined ? { yaml } : { file: output }), notes }))
  } else {
    stdout.write(output === undefined ? yaml : `${output}\n`)
    for (const { line, text } of notes) stderr.write(`${file}:${line}: ${escapeLines(text)}\n`)
  }
  return EXIT.ok
}

/** Makes a configuration of the text of a file; its name says how it is read. */
export async function convert(path: string, content: string): Promise<Imported> {
  const notes: ImportNote[] = []
  const node = await readNode(path, content)
  const root = node?.kind === 'map' ? new ForeignSection(node, '', notes) : undefined
  const program = root && programOf(root)
  if (root === undefined || program === undefined) {
    throw new UserError(`${basename(path)} is no file of frpc, ngrok, cloudflared or Piko`, {
      exitCode: EXIT.usage,
      hint: 'adit import frpc.toml, frpc.ini, ngrok.yml, cloudflared.yml or piko.yaml',
    })
  }
  const config = importFrom(program, root)
  return {
    yaml: formatImported(config, basename(path)),
    notes: notes.toSorted((a, b) => a.line - b.line),
  }
}

async function readNode(path: string, content: string): Promise<RawNode | undefined> {
  if (path.endsWith('.ini')) return readIni(content, path)
  // Placeholders of other programs are texts here.
  const source = { path, content, expand: (text: string) => text }
  const { root, problems } = path.endsWith('.toml') ? await toml.read(source) : readFileText(source)
  if (hasErrors(problems)) {
    throw new UserError(formatProblems(problems).trimEnd(), { exitCode: EXIT.usage })
  }
  return root
}

async function contentOf(path: string, file: string): Promise<string> {
  try {
    return (await readRegularFile(path, MAX_FILE_BYTES)).toString()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isMissing = code === 'ENOENT'
    throw new UserError(`${file} ${isMissing ? 'does not exist' : `cannot be read: ${message}`}`, {
      code: 'CONFIG_FILE_UNREADABLE',
      exitCode: EXIT.usage,
      hint: isMissing
        ? 'name the configuration file of the other program: adit import frpc.toml'
        : undefined,
      cause: error,
    })
  }
}
