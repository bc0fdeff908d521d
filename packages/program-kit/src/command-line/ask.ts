/** Questions at a terminal. */
import { createInterface } from 'node:readline'
import { addAbortSignal, type Readable, Writable } from 'node:stream'

import { EXIT, UserError } from '../process/exit-code.ts'
import type { TextOutput } from '../process/program.ts'

/** Where answers come from; a terminal says so. */
export type TextInput = Readable & { readonly isTTY?: boolean }

/** Longest text that is read where there is no terminal, bytes: a token with room. */
const MAX_INPUT_BYTES = 64 * 1024

/** How a question is asked. */
export interface Question {
  /** The terminal that the answer comes from. */
  readonly input: TextInput
  /** Where the question is shown. */
  readonly output: TextOutput
  /** Ends the question. */
  readonly signal: AbortSignal
  /** Whether the answer is not shown. Default: it is. */
  readonly isSecret?: boolean
}

/**
 * Asks one question at a terminal.
 *
 * @returns the answer without spaces around it; undefined when there is none: Ctrl-C, Ctrl-D or the signal.
 */
export async function ask(text: string, question: Question): Promise<string | undefined> {
  const { input, output, signal, isSecret = false } = question
  if (signal.aborted) return undefined
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input, output: isSecret ? silent : output, terminal: true })
  // Now the terminal shows nothing by itself: what is typed as soon as the question is read stays hidden.
  if (isSecret) output.write(text)
  return await new Promise((resolve) => {
    let answer: string | undefined
    const end = (): void => lines.close()
    signal.addEventListener('abort', end, { once: true })
    lines.once('SIGINT', end)
    lines.once('close', () => {
      signal.removeEventListener('abort', end)
      if (isSecret || answer === undefined) output.write('\n')
      resolve(answer)
    })
    lines.question(isSecret ? '' : text, (line) => {
      answer = line.trim()
      end()
    })
  })
}

/**
 * Reads everything that is piped in, without the line break at its end.
 *
 * @throws {UserError} for more than 64 KiB.
 * @throws the error of Node with the reason as its cause, when the signal aborts.
 */
export async function readInput(
  input: TextInput,
  { signal }: { readonly signal: AbortSignal },
): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of addAbortSignal(signal, input)) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > MAX_INPUT_BYTES) {
      throw new UserError(`standard input has more than ${MAX_INPUT_BYTES} bytes`, {
        exitCode: EXIT.usage,
      })
    }
    chunks.push(part)
  }
  return Buffer.concat(chunks).toString('utf8').trim()
}
